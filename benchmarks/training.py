"""Time and memory of each training stage by number of rows, compared with a hand-written script.

    python benchmarks/training.py --rows 10000 100000 1000000 --flow

Each size is a CSV file of simulated readings, processed in a new process, so that peak memory is measured per size. Every stage
runs once on a small file first; imports and other fixed costs are counted in `start-up`.

Growth is (time at more rows / time at fewer rows) / (more rows / fewer rows), from one size to the next: 1.0 is linear, 10.0
from 10,000 to 100,000 rows is quadratic. Stages of a few milliseconds grow by less than 1.0, because of their fixed costs.
Times are the shortest of three, because the first run includes the allocation of memory by the system.
"""

import argparse
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from measuring import (
    Measured,
    describe_machine,
    in_child,
    markdown_table,
    measure_process,
    read_peak_mib,
    write_readings,
)

BENCHMARKS_DIR = Path(__file__).resolve().parent
PROJECT_DIR = BENCHMARKS_DIR.parent
WARM_UP_ROWS = MIN_ROWS = 2_000
FLOW_ROWS = 10_000

Stages = dict[str, Measured]


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as name:
        folder = Path(name)
        in_child(write_readings, folder / "warm_up.csv", WARM_UP_ROWS)
        stages, plain = {}, {}
        for rows in sorted(set(arguments.rows)):
            print(f"{rows:,} rows ...", file=sys.stderr, flush=True)
            stages[rows], plain[rows] = measure_size(folder, rows, arguments.repeats)
        print(f"{describe_machine()}\n\n{stage_table(stages)}\n\n{peer_table(stages, plain)}")
        if arguments.flow:
            print("the flow ...", file=sys.stderr, flush=True)
            print(f"\n{flow_table(*measure_flow(folder))}")


def measure_size(folder: Path, rows: int, repeats: int) -> tuple[Stages, Measured]:
    """Measure the stages of the flow and the plain script on one file of `rows` readings, in separate processes."""
    file = folder / f"{rows}.csv"
    in_child(write_readings, file, rows)
    stages = in_child(measure_stages, file, folder / "warm_up.csv", repeats, time.time())
    return stages, _plain(file, repeats)


def measure_stages(file: Path, warm_up: Path, repeats: int, started: float) -> Stages:
    """Measure every stage on `file`, after a warm-up. `start-up` is the time since `started`, including the warm-up."""
    from stages import run_stages

    run_stages(warm_up, 1)
    start_up = Measured(time.time() - started, read_peak_mib())
    return {"start-up": start_up} | run_stages(file, repeats)


def measure_flow(folder: Path) -> tuple[Measured, Measured]:
    """Measure the whole flow with one trial, and the plain script on the same rows. Everything is written to `folder`."""
    file = folder / "flow.csv"
    in_child(write_readings, file, FLOW_ROWS)
    flow = measure_process(
        1, PROJECT_DIR / "flows" / "train_flow.py", "run", "--sources", str(file), "--trials", "1", "--promote", "False",
        MLFLOW_TRACKING_URI=f"sqlite:///{folder / 'mlflow.db'}", METAFLOW_DATASTORE_SYSROOT_LOCAL=str(folder),
    )  # fmt: skip
    return flow, _plain(file, 3)


def stage_table(results: dict[int, Stages]) -> str:
    """Time and peak memory of each stage at each size, and the growth from one size to the next."""
    sizes = list(results)
    headers = ["stage", *(f"{rows:,} rows, s" for rows in sizes), *(f"growth to {rows:,}" for rows in sizes[1:])]
    headers += [f"peak at {rows:,}, MiB" for rows in sizes]
    lines = []
    for stage in results[sizes[0]]:
        measured = [results[rows][stage] for rows in sizes]
        growths = [
            "" if stage == "start-up" else f"{after.seconds / before.seconds / (more / fewer):.2f}"
            for (before, after), (fewer, more) in zip(pairwise(measured), pairwise(sizes), strict=True)
        ]
        seconds, peaks = [f"{one.seconds:.3f}" for one in measured], [f"{one.peak_mib:,.0f}" for one in measured]
        lines.append([stage, *seconds, *growths, *peaks])
    return markdown_table(headers, lines)


def peer_table(results: dict[int, Stages], plain: dict[int, Measured]) -> str:
    """Start-up and all stages, compared with the whole process of the plain script."""
    lines = []
    for rows, stages in results.items():
        seconds, script = sum(stage.seconds for stage in stages.values()), plain[rows]
        peak_mib = max(stage.peak_mib for stage in stages.values())
        times = (f"{seconds:.2f}", f"{script.seconds:.2f}", f"{seconds / script.seconds:.2f}")
        lines.append([f"{rows:,}", *times, f"{peak_mib:,.0f}", f"{script.peak_mib:,.0f}"])
    headers = ["rows", "all stages, s", "plain script, s", "ratio", "all stages, peak MiB", "plain script, peak MiB"]
    return markdown_table(headers, lines)


def flow_table(flow: Measured, plain: Measured) -> str:
    """The cost of the flow's processes, tracking, cards, evaluation and registry on a small data set."""
    lines = [
        ["flow, both candidates, one trial each", f"{flow.seconds:.1f}", f"{flow.peak_mib:,.0f}"],
        ["plain script", f"{plain.seconds:.1f}", f"{plain.peak_mib:,.0f}"],
        ["difference", f"{flow.seconds - plain.seconds:.1f}", ""],
    ]
    return markdown_table([f"whole process, {FLOW_ROWS:,} rows", "s", "largest process, MiB"], lines)


def _plain(file: Path, repeats: int) -> Measured:
    script, params_file = BENCHMARKS_DIR / "plain_script.py", PROJECT_DIR / "params.yaml"
    return measure_process(repeats, script, str(file), str(params_file))


def _row_count(text: str) -> int:
    if not text.isdecimal() or int(text) < MIN_ROWS:
        raise argparse.ArgumentTypeError(
            f"{text!r}: give a whole number of at least {MIN_ROWS:,}, so that each fold has failures"
        )
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=_row_count, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="N",
        help="numbers of rows to measure  [default: 10000 100000 1000000]",
    )  # fmt: skip
    parser.add_argument(
        "--repeats", type=int, choices=range(1, 10), default=3, metavar="N",
        help="report the shortest of N runs per size  [default: 3]",
    )  # fmt: skip
    parser.add_argument(
        "--flow", action="store_true", help=f"also run the whole flow on {FLOW_ROWS:,} rows (about a minute)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
