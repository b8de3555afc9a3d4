"""Time and memory of one check by monitoring of a store with millions of predictions.

    python benchmarks/monitoring.py                         10,000,000 logged predictions and 1,000,000 kept readings
    python benchmarks/monitoring.py --logged 1 --kept 0.1   a tenth of both

The predictions of the milling machine are in the log, spread over five windows of a week, with feedback on all predicted failures
of each tenth block: once without ids of readings, and once with ids, with each tenth block scored again. The readings of 500
pumps are kept by the store, each pump with a failure. The store is an SQLite file in the temporary folder, of some GB. The memory
is that of the whole process, which has imported what it needs before.
"""

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from drift import Plant, fleet, milling
from measuring import Measured, describe_machine, in_child, markdown_table, measure

from predictive_maintenance.config.params import MonitoringSettings
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.monitoring.performance import EvaluationMetrics
from predictive_maintenance.monitoring.production import Rules, WatchedVersion
from predictive_maintenance.monitoring.production_check import ProductionCheck, check_production
from predictive_maintenance.scorer.monitoring_reference import read_monitoring
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.store.predictions import LoggedBlock, Predictions, rows_of_block
from predictive_maintenance.store.rows import Event, Feedback, Reading, Score, Sensors, Subject, Verdict
from predictive_maintenance.store.store import Store

MODEL, VERSION = "a model", "1"
_WINDOWS, _WEEK = 5, 604_800
_MONDAY = 4 * 86_400  # 1970-01-05
_PUMPS = 500
_TOGETHER = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logged", type=float, default=10, help="millions of predictions in the log")
    parser.add_argument("--kept", type=float, default=1, help="millions of readings in the store")
    arguments = parser.parse_args()
    rows = []
    for name, millions, write in (
        ("log, milling", arguments.logged, write_log),
        ("log, milling with ids", arguments.logged, write_log_with_ids),
        ("readings, fleet", arguments.kept, write_readings),
    ):
        with tempfile.TemporaryDirectory(prefix="pdm-monitoring-") as folder:
            url, count, now = (
                f"sqlite:///{folder}/store.db",
                round(millions * 1e6),
                int(time.time()) // _WEEK * _WEEK + _MONDAY,
            )
            at_evaluation = in_child(write, url, Path(folder), count, now)
            size = Path(folder, "store.db").stat().st_size / 2**20
            found, labelled, scored = in_child(measure_check, url, Path(folder), at_evaluation, now)
            rows.append(
                (name, f"{scored:,}", f"{size:,.0f}", f"{labelled:,}", f"{found.seconds:.1f}", f"{found.peak_mib:,.0f}")
            )
    print(f"{describe_machine()}\n")
    print(markdown_table(("predictions in", "number", "MiB of the store", "labelled", "s", "peak MiB"), rows))


def measure_check(url: str, folder: Path, at_evaluation: EvaluationMetrics, now: int) -> tuple[Measured, int, int]:
    """One check: time and peak memory, labelled predictions of the newest window, readings of all windows."""
    machine = Scorer.load(folder).machine
    watched = WatchedVersion(
        model=MODEL,
        version=VERSION,
        machine=machine,
        reference=read_monitoring(folder, machine),
        at_evaluation=at_evaluation,
    )
    rules = Rules(monitoring=MonitoringSettings(failures_are_reported=True), evaluation=load_params().evaluation)
    store = Store.open(url, timeout_seconds=30)
    with closing(store):
        measured, found = measure(1, check_production, store, watched, rules, now)
    assert isinstance(found, ProductionCheck)
    return measured, found.windows[-1].performance.labelled, sum(window.rows for window in found.windows)


def write_log_with_ids(url: str, folder: Path, count: int, now: int) -> EvaluationMetrics:
    """As `write_log`, with ids of readings. The readings of each tenth block are those of the block before."""
    return write_log(url, folder, count, now, with_ids=True)


def write_log(url: str, folder: Path, count: int, now: int, *, with_ids: bool = False) -> EvaluationMetrics:
    """Write a version, predictions of its held-out rows, and feedback on some."""
    plant = milling(1)
    _write_files(plant, folder)
    machine, frame = plant.scorer.machine, plant.windows[0]
    rows = rows_of_block(len(machine.input_names))
    part = frame.sample(rows, replace=True, random_state=1)
    probabilities = plant.scorer.probabilities(part)
    decisions = plant.scorer.decisions(probabilities)
    alarms = np.flatnonzero(decisions)
    inputs = {name: part[name].tolist() for name in machine.input_names}
    blocks = -(-count // rows)
    store = Store.open(url, timeout_seconds=30)
    with closing(store):
        for number in range(blocks):
            logged = Predictions(
                scored=(now - 60) * 10**6 - number * _WINDOWS * _WEEK * 10**6 // (blocks + 1),
                request_id=f"request {number}",
                failure_probability=probabilities.tolist(),
                predicted_failure=decisions.tolist(),
                row=1,
                reading_id=_ids(number - (number % 10 == 9), rows) if with_ids else None,
                inputs=inputs,
            )
            with store.writing() as transaction:
                transaction.log(MODEL, 1, [LoggedBlock(number=number, version=VERSION, block=logged.as_block())])
                for row in alarms.tolist() if number % 10 == 0 else ():
                    subject = Subject("request", f"request {number}", row + 1)
                    transaction.add_feedback(MODEL, _report(subject), now)
    return plant.at_evaluation


def write_readings(url: str, folder: Path, count: int, now: int) -> EvaluationMetrics:
    """Write a version, scored readings of pumps in the order of time, and a failure of each pump."""
    plant = fleet(1)
    _write_files(plant, folder)
    machine, frame = plant.scorer.machine, plant.windows[0]
    sample: list[Sensors] = [
        {name: value for name, value in row.items() if value == value}
        for row in frame[list(machine.input_names)].sample(1_000, random_state=1).to_dict("records")
    ]
    names = [f"P{number:03}" for number in range(_PUMPS)]
    first = now - _WINDOWS * _WEEK
    store = Store.open(url, timeout_seconds=30)
    with closing(store):
        for begin in range(0, count, _TOGETHER):
            with store.writing() as transaction:
                locked = transaction.machines(MODEL, names)
                readings = []
                for number in range(begin, min(begin + _TOGETHER, count)):
                    moment = first + 60 + number * (_WINDOWS * _WEEK - 120) // count
                    alarm = number % 40 == 0
                    readings.append(
                        (
                            locked[names[number % _PUMPS]],
                            Reading(
                                time=moment * 10**6 + number % 10**6,
                                received=moment,
                                sensors=sample[number % len(sample)],
                                score=Score(0.9 if alarm else 0.001 * (number % 300), alarm=alarm, version=VERSION),
                            ),
                        )
                    )
                transaction.add(readings)
        with store.writing() as transaction:
            locked = transaction.machines(MODEL, names)
            transaction.add_events(
                {
                    locked[name]: [Event("failures", (first + (place + 1) * 4_000) * 10**6, "seal")]
                    for place, name in enumerate(names)
                },
                now,
            )
    return plant.at_evaluation


def _ids(block: int, rows: int) -> list[str]:
    return [f"reading {block}-{row}" for row in range(rows)]


def _write_files(plant: Plant, folder: Path) -> None:
    for name, content in plant.files.items():
        (folder / name).write_bytes(content)


def _report(subject: Subject) -> Feedback:
    verdict: Verdict = "confirmed" if subject.place % 2 else "false"
    return Feedback(subject=subject, verdict=verdict, mode=None, failed=None, comment="", author="A")


if __name__ == "__main__":
    main()
