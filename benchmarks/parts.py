"""Time and memory of scoring a data set of many files, in one process and on Dask workers.

    python benchmarks/parts.py             100 machines for a year, 877,000 readings; --days 90 is quicker
    python benchmarks/parts.py --scatter   the rows of each machine are in all files, as a program that divides them at random
                                           writes them

Readings of the simulated fleet with windows of its past, its errors and its maintenance, a Parquet file for each week. Each line
scores all files: in this process, and by one worker and by two workers on this machine, as PDM_ENGINE=dask starts them. A file
needs the readings of the week before, because windows reach a week back. Peak: the resident memory of the largest process that
scores.

Expected: two workers are at least 1.6 times as fast as one; a process stays below 1 GiB; the results are the same files.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import describe_machine, in_child, markdown_table, read_peak_mib, reset_peak

TRAINING_MACHINES, TRAINING_DAYS = 10, 365
TABLES = ("errors", "maintenance", "machines")


@dataclass(frozen=True)
class Run:
    """One measurement. `digest` is a hash of all results."""

    engine: str
    files: int
    rows: int
    seconds: float
    peak_mib: float
    digest: str


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="parts-benchmark-") as name:
        folder = Path(name)
        print("training a model and simulating the fleet ...", file=sys.stderr, flush=True)
        model = in_child(train_model)
        in_child(write_fleet, folder, arguments.machines, arguments.days, arguments.scatter)
        runs = []
        for workers in (0, 1, 2):
            print(f"{workers or 'no'} workers ...", file=sys.stderr, flush=True)
            runs.append(in_child(score, model, folder, workers))
    print(f"{describe_machine()}\n\n{run_table(runs)}\n\n{summary(runs)}")


def train_model() -> dict[str, bytes]:
    """Train LightGBM with the fixed hyperparameters of the fleet on a small fleet. Return the model files."""
    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import export_model
    from predictive_maintenance.training.labelling import label, labelled_rows
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    params = load_params(machine="fleet")
    machine = params.machine
    uri = f"simulator://fleet?machines={TRAINING_MACHINES}&days={TRAINING_DAYS}"
    ingested = ingest((Source(uri=uri),), machine)
    cleaned = clean(ingested, machine, params.cleaning, ingested.events)
    events = cleaned.event_frames()
    labelled = labelled_rows(cleaned.frame, label(cleaned.frame, machine, events), machine, events)
    rows = split(labelled.frame, machine, params.split, params.training.seed, labelled.unlabelled, events)
    return export_model(train_untuned("lightgbm", rows.train, rows.fold, params), rows, params)


def write_fleet(folder: Path, machines: int, days: int, scatter: bool) -> None:
    """Write the readings of each week, or as many files with random rows, and the other tables."""
    from machines.fleet.simulator import simulate_tables

    tables = simulate_tables(machines=machines, days=days)
    (folder / "readings").mkdir()
    readings = tables["readings"]
    week = (readings["timestamp"] - readings["timestamp"].min()).dt.days // 7
    if scatter:
        week = np.random.default_rng(0).permutation(week)
    for number, rows in readings.groupby(week):
        rows.to_parquet(folder / "readings" / f"week {number:03}.parquet")
    for name in TABLES:
        tables[name].to_parquet(folder / f"{name}.parquet")


def score(model: dict[str, bytes], folder: Path, workers: int) -> Run:
    """Score the fleet in this process, or with some workers."""
    from predictive_maintenance.config.sources import parse_tables
    from predictive_maintenance.engine.engine import InProcess
    from predictive_maintenance.inference.further_tables import read_further_tables
    from predictive_maintenance.inference.part_job import ScoringJob
    from predictive_maintenance.scorer.scoring import Scorer

    sources = parse_tables(",".join(f"{name}:{folder / name}.parquet" for name in TABLES))
    tables = read_further_tables(sources, Scorer.from_files(model).machine)
    output = folder / f"scored by {workers}"
    job = ScoringJob(model_files=model, version="1", aliases={}, output=str(output), tables=tables)
    if not workers:
        return _measured("this process", job, folder, InProcess(), lambda: [read_peak_mib()])
    from predictive_maintenance.engine.dask_engine import open_cluster
    from predictive_maintenance.engine.settings import WORKERS_VARIABLE

    os.environ[WORKERS_VARIABLE] = str(workers)
    with open_cluster(None) as engine:
        name = f"{workers} Dask worker{'s'[: workers > 1]}"
        return _measured(name, job, folder, engine, lambda: list(engine.client.run(read_peak_mib).values()))


def _measured(name: str, job: Any, folder: Path, engine: Any, peaks: Any) -> Run:
    from predictive_maintenance.inference.part_scoring import score_parts
    from predictive_maintenance.ingestion.part_files import list_parts

    parts = list_parts([str(folder / "readings" / "*.parquet")])
    reset_peak()
    start = time.perf_counter()
    scored = score_parts(parts, job, engine)
    seconds = time.perf_counter() - start
    if scored.errors:
        sys.exit(str(scored.errors))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(Path(job.output, part.name).read_bytes())
    return Run(name, len(parts), scored.rows, seconds, max(peaks()), digest.hexdigest()[:12])


def run_table(runs: list[Run]) -> str:
    """Time, rows per second and peak memory of each run."""
    lines = [
        [run.engine, f"{run.files}", f"{run.rows:,}", f"{run.seconds:.1f}", f"{run.rows / run.seconds:,.0f}",
         f"{run.peak_mib:,.0f}", run.digest]
        for run in runs
    ]  # fmt: skip
    return markdown_table(["engine", "files", "rows", "s", "rows/s", "peak MiB", "results"], lines)


def summary(runs: list[Run]) -> str:
    """The speed of two workers against one, and of one against this process."""
    alone, one, two = (run.seconds for run in runs)
    return markdown_table(
        ["measure", "value"],
        [["time, 1 worker / 2 workers", f"{one / two:.2f}"], ["time, this process / 1 worker", f"{alone / one:.2f}"]],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=100, help="machines of the fleet  [default: 100]")
    parser.add_argument("--days", type=int, default=365, help="days of the fleet  [default: 365]")
    parser.add_argument("--scatter", action="store_true", help="write files with random rows in place of weeks")
    return parser.parse_args()


if __name__ == "__main__":
    main()
