"""How much faster two Dask workers on this machine are than one, for the steps on parts: ingest, clean, features.

    python benchmarks/workers.py                   10 million readings, 25 minutes and 6 GB
    python benchmarks/workers.py --rows 2000000    some minutes

Readings, tables and settings are those of scale.py. The steps are called as the flow calls them, with one worker and with two on
the same files; each worker has one thread. The process that gives them work needs some time of a core itself. The table has the
sum of some rounds, each in the reverse order of the one before: a machine that becomes slower does so for both.

Exit code 1 if two workers are less than 1.6 times as fast as one in all three steps together, or if a result differs.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
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
    fingerprints: frozenset[str]


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="workers-", dir=arguments.folder) as name:
        folder = Path(name).resolve()
        print(f"simulating {arguments.rows:,} readings ...", file=sys.stderr, flush=True)
        in_child(write_fleet, folder, arguments.rows)
        write_project(folder, arguments)
        runs: dict[int, list[Run]] = {workers: [] for workers in WORKERS}
        for number in range(arguments.rounds):
            for workers in WORKERS if number % 2 == 0 else reversed(WORKERS):
                print(f"{workers} worker{'s'[: workers > 1]} ...", file=sys.stderr, flush=True)
                run = in_child(measured, folder, workers)
                print(f"  {sum(run.seconds):,.1f} s", file=sys.stderr, flush=True)
                runs[workers].append(run)
    one, two = (_sum_of(rounds) for rounds in runs.values())
    speeds = [before / after for before, after in zip(_with_sum(one), _with_sum(two), strict=True)]
    lines = [
        [name, f"{before:,.1f}", f"{after:,.1f}", f"{speed:.2f}"]
        for name, before, after, speed in zip((*STEPS, "all"), _with_sum(one), _with_sum(two), speeds, strict=True)
    ]
    table = markdown_table(["step", "1 worker, s", "2 workers, s", "times as fast"], lines)
    print(f"{describe_machine()}\n{one.readings:,} readings\n\n{table}\n")
    missed = [f"{speeds[-1]:.2f} times as fast, and {MIN_SPEED} was expected"] if speeds[-1] < MIN_SPEED else []
    missed += ["the training rows differ"] if len(one.fingerprints | two.fingerprints) > 1 else []
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
    data, machine = params.data, params.machine
    times = [time.perf_counter()]
    with tempfile.TemporaryDirectory(prefix="parts-", dir=project) as name, open_cluster(None) as engine:
        folder = PartFolder(name)
        ingested = ingest_parts(data.sources, machine, folder, engine, data.rows_per_part)
        times.append(time.perf_counter())
        cleaned = clean_parts(ingested, machine, params.cleaning, engine)
        times.append(time.perf_counter())
        rows = split_parts(cleaned, machine, params.split, params.training.seed, engine)
        times.append(time.perf_counter())
    seconds = tuple(after - before for before, after in pairwise(times))
    return Run(ingested.rows, seconds, frozenset({rows.training_fingerprint}))


def _sum_of(rounds: Sequence[Run]) -> Run:
    seconds = tuple(sum(of_step) for of_step in zip(*(run.seconds for run in rounds), strict=True))
    return Run(rounds[0].readings, seconds, frozenset().union(*(run.fingerprints for run in rounds)))


def _with_sum(run: Run) -> tuple[float, ...]:
    return *run.seconds, sum(run.seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="readings  [default: 10000000]")
    parser.add_argument("--rounds", type=int, default=2, help="with one and with two workers  [default: 2]")
    parser.add_argument("--folder", type=Path, help="where files are kept meanwhile, some 600 bytes a reading")
    parser.set_defaults(folds=2, search_rows=300_000, forest_rows=100_000, trees=50)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


if __name__ == "__main__":
    main()
