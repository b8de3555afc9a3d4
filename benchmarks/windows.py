"""Time and memory of features from the past by the number of readings, on one core.

    python benchmarks/windows.py            up to 1,000,000 readings; --largest 10000000 takes ten times as long

Invented hourly readings of 100 machines with four sensors, windows of 3 h and 24 h, five statistics each. Each line is a process
of its own; the memory is its largest resident size, the readings included. pandas' rolling windows are the peer: they are
computed with a running sum, so that a window's bits depend on what lay before it. "A table with events" is what training calls:
a table in no order with the same statistics, and two tables with an event for each hundredth reading: counts by type over 24 h
and 7 days, and times since the last one.

Exit code 1 if the largest table with events takes more time than 4,000,000 readings a minute, or 1,000,000 more than 2 GiB.
"""

import argparse
import sys
from functools import partial
from typing import Any

import numpy as np
from measuring import describe_machine, in_child, markdown_table, measure

MACHINES, SENSORS = 100, 4
HOUR_US = 3_600_000_000
WINDOWS_H = (3, 24)
STATISTICS = ("mean", "std", "min", "max", "slope")
MIN_READINGS_PER_SECOND, MAX_MIB = 4_000_000 / 60, 2_048
PEER_STATISTICS = STATISTICS[:-1]  # pandas has no slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000, help="largest number of readings")
    largest = parser.parse_args().largest
    lines, missed = [], []
    for rows in sorted({largest // 100, largest // 10, largest}):
        print(f"{rows:,} readings ...", file=sys.stderr, flush=True)
        for name, compute in (
            ("a table with events", whole_table),
            ("five statistics", partial(ours, STATISTICS)),
            ("without slope", partial(ours, PEER_STATISTICS)),
            ("pandas rolling, without slope", peer),
        ):
            seconds, mib = in_child(measured, compute, rows)
            if compute is whole_table and rows == largest and seconds > rows / MIN_READINGS_PER_SECOND:
                missed.append(f"{rows:,} readings with events take {seconds:.1f} s")
            if compute is whole_table and rows == 1_000_000 and mib > MAX_MIB:
                missed.append(f"{rows:,} readings with events take {mib:,.0f} MiB")
            lines.append([f"{rows:,}", name, f"{seconds:.2f}", f"{seconds / rows * 1e6:.2f}", f"{mib:.0f}"])
    headers = ["readings", "what", "s", "us a reading", "peak MiB"]
    print(f"{describe_machine()}\n\n{markdown_table(headers, lines)}\n")
    print("\n".join(f"missed: {goal}" for goal in missed) or "every goal is reached")
    sys.exit(bool(missed))


def measured(compute: Any, rows: int) -> tuple[float, float]:
    """(seconds, peak MiB) of one call."""
    machines = np.repeat(np.arange(MACHINES), rows // MACHINES)
    times = np.tile(np.arange(rows // MACHINES) * HOUR_US, MACHINES)
    values = np.random.default_rng(1).normal(size=(SENSORS, len(times)))
    result, _ = measure(1, compute, machines, times, values)
    return result.seconds, result.peak_mib


DESCRIPTION = """
name: benchmark
model_name: benchmark
machine: {}
time: {kind: timestamp}
sensors:
  a: {label: A, range: [-9, 9]}
  b: {label: B, range: [-9, 9]}
  c: {label: C, range: [-9, 9]}
  d: {label: D, range: [-9, 9]}
events:
  errors: {label: Errors, type: {values: [w, x, y, z]}}
  service: {label: Service, type: {values: [w, x, y, z]}}
history:
  windows: [3h, 24h]
  statistics: [mean, std, min, max, slope]
  events:
    errors: {count_over: [24h, 7d], by_type: true}
    service: {time_since_last: true, by_type: true}
label: {column: failed}
group: machine
"""


def whole_table(machines: Any, times: Any, values: Any) -> Any:
    from predictive_maintenance.config.machine_file import parse_machine
    from predictive_maintenance.history.features import complete

    random = np.random.default_rng(2)
    order = random.permutation(len(times))
    columns = {
        "machine_id": machines[order].astype(str).astype(object),
        "timestamp": times[order].view("datetime64[us]"),
    }
    columns |= {name: values[place][order] for place, name in enumerate("abcd")}
    happened = random.choice(len(times), (2, len(times) // 100))
    events = {
        table: {
            "machine_id": columns["machine_id"][rows],
            "timestamp": columns["timestamp"][rows],
            "type": random.choice(list("wxyz"), len(rows)),
        }
        for table, rows in zip(("errors", "service"), happened, strict=True)
    }
    return complete(parse_machine(DESCRIPTION), columns, events)


def ours(statistics: Any, machines: Any, times: Any, values: Any) -> Any:
    from predictive_maintenance.history.machine_rows import machine_bounds
    from predictive_maintenance.history.windows import Duration, window_statistics

    bounds, rows = machine_bounds(machines), np.arange(len(times))
    return [
        window_statistics(values, times, Duration(hours * HOUR_US).starts(times, bounds), rows, statistics, HOUR_US)
        for hours in WINDOWS_H
    ]


def peer(machines: Any, times: Any, values: Any) -> Any:
    import pandas as pd

    frame = pd.DataFrame(values.T, index=pd.to_datetime(times, unit="us"))
    grouped = frame.groupby(machines)
    return [getattr(grouped.rolling(f"{hours}h"), statistic)() for hours in WINDOWS_H for statistic in PEER_STATISTICS]


if __name__ == "__main__":
    main()
