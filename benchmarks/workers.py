"""How much faster two Dask workers on this machine are than one, for the steps on parts: ingest, clean, features.

    python benchmarks/workers.py                   10 million readings, a quarter of an hour and 10 GB
    python benchmarks/workers.py --rows 2000000    some minutes

Readings, tables and settings are those of scale.py. The steps are called as the flow calls them, with one worker and then with
two on the same files; each worker has one thread. The process that gives them work needs some time of a core itself.

Exit code 1 if two workers are less than 1.6 times as fast as one in all three steps together, or if a result differs.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from measuring import describe_machine, in_child, markdown_table
from scale import write_fleet, write_project

WORKERS = (1, 2)
STEPS = ("ingest", "clean", "features")
MIN_SPEED = 1.6


@dataclass(frozen=True)
class Run:
    """Seconds of each step in the order of STEPS, and what identifies the training rows."""

    readings: int
    seconds: tuple[float, ...]
    fingerprint: str


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="workers-", dir=arguments.folder) as name:
        folder = Path(name).resolve()
        print(f"simulating {arguments.rows:,} readings ...", file=sys.stderr, flush=True)
        in_child(write_fleet, folder, arguments.rows)
        write_project(folder, arguments)
        runs = []
        for workers in WORKERS:
            print(f"{workers} worker{'s'[: workers > 1]} ...", file=sys.stderr, flush=True)
            runs.append(in_child(measured, folder, workers))
    one, two = runs
    speeds = [before / after for before, after in zip(_with_sum(one), _with_sum(two), strict=True)]
    lines = [
        [name, f"{before:,.1f}", f"{after:,.1f}", f"{speed:.2f}"]
        for name, before, after, speed in zip((*STEPS, "all"), _with_sum(one), _with_sum(two), speeds, strict=True)
    ]
    table = markdown_table(["step", "1 worker, s", "2 workers, s", "times as fast"], lines)
    print(f"{describe_machine()}\n{one.readings:,} readings\n\n{table}\n")
    missed = [f"{speeds[-1]:.2f} times as fast, and {MIN_SPEED} was expected"] if speeds[-1] < MIN_SPEED else []
    missed += ["the training rows differ"] if one.fingerprint != two.fingerprint else []
    print("\n".join(f"missed: {goal}" for goal in missed) or "every goal is reached")
    sys.exit(bool(missed))


def measured(project: Path, workers: int) -> Run:
    """The steps on parts of the project's data, with some workers."""
    os.environ["PDM_PROJECT_DIR"] = str(project)
    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.engine.dask_engine import open_cluster
    from predictive_maintenance.engine.settings import WORKERS_VARIABLE
    from predictive_maintenance.partitions.cleaned_parts import clean_parts
    from predictive_maintenance.partitions.ingested_parts import ingest_parts
    from predictive_maintenance.partitions.part_folder import PartFolder
    from predictive_maintenance.partitions.split_parts import split_parts

    os.environ[WORKERS_VARIABLE] = str(workers)
    params = load_params(project / "params.yaml")
    data, machine, folder = params.data, params.machine, PartFolder(str(project / f"parts of {workers}"))
    times = [time.perf_counter()]
    with open_cluster(None) as engine:
        ingested = ingest_parts(data.sources, machine, folder, engine, data.rows_per_part)
        times.append(time.perf_counter())
        cleaned = clean_parts(ingested, machine, params.cleaning, engine)
        times.append(time.perf_counter())
        rows = split_parts(cleaned, machine, params.split, params.training.seed, engine)
        times.append(time.perf_counter())
    seconds = tuple(after - before for before, after in pairwise(times))
    return Run(ingested.rows, seconds, rows.training_fingerprint)


def _with_sum(run: Run) -> tuple[float, ...]:
    return *run.seconds, sum(run.seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="readings  [default: 10000000]")
    parser.add_argument("--folder", type=Path, help="where files are kept meanwhile, some 1,000 bytes a reading")
    parser.set_defaults(folds=2, search_rows=300_000, forest_rows=100_000, trees=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
