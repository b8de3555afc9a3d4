"""How fast a file is scored, and that its memory does not grow with its rows.

    python benchmarks/scoring.py --rows 1000000

`file to file` is what the command `score` does: read a CSV, check every cell, score, write a CSV. `in memory` is the
scorer alone on the same rows, already in a data frame. Their ratio is what the file costs. Both score with the same
model, trained here. Each line is a fresh process; the peak is its resident memory while it scores. From a tenth of the
rows to all of them, file to file moves by some tens of MiB at most, what batches read ahead and the allocator keep,
because a file is read in batches; in memory it grows with the rows.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from measuring import Measured, describe_machine, in_child, markdown_table, measure, write_readings

TRAINING_ROWS = 10_000
WARM_UP_ROWS = 1_000
MIN_ROWS = 10 * WARM_UP_ROWS


@dataclass(frozen=True)
class Run:
    """One way over one file. `alarms` shows that both ways did the same work."""

    way: str
    rows: int
    alarms: int
    measured: Measured


def main() -> None:
    total = _arguments().rows
    with tempfile.TemporaryDirectory(prefix="scoring-benchmark-") as name:
        folder = Path(name)
        print("training a model ...", file=sys.stderr, flush=True)
        model = in_child(train_model)
        in_child(write_readings, folder / "warm_up.csv", WARM_UP_ROWS)
        runs = []
        for rows in (total // 10, total):
            print(f"{rows:,} rows ...", file=sys.stderr, flush=True)
            file = folder / f"{rows}.csv"
            in_child(write_readings, file, rows)
            runs += [
                in_child(way, model, file, folder / "warm_up.csv", rows)
                for way in (score_file_to_file, score_in_memory)
            ]
    print(f"{describe_machine()}\n\n{run_table(runs)}\n\n{summary(runs)}")


def train_model() -> dict[str, bytes]:
    """The files of a scorer: LightGBM with the fixed hyperparameters of params.yaml, on simulated readings."""
    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.machine.features import with_features
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import export_model
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    params = load_params()
    ingested = ingest((Source(uri=f"simulator://?rows={TRAINING_ROWS}"),), params.columns)
    cleaned = clean(ingested, params.columns.limits, params.cleaning)
    rows = split(with_features(cleaned.frame), params.split, params.training.seed)
    trained = train_untuned("lightgbm", rows.train, rows.fold, params)
    return export_model(trained, rows.train, rows.test, params)


def score_file_to_file(model: Mapping[str, bytes], file: Path, warm_up: Path, rows: int) -> Run:
    """The command-line path, CSV to CSV, after one pass over a tiny file."""
    from predictive_maintenance.inference.files import score_file
    from predictive_maintenance.scorer.scoring import Scorer

    scorer, output = Scorer.from_files(model), file.with_suffix(".scored.csv")
    score_file(warm_up, output, scorer, "1", {})
    measured, scored = measure(1, score_file, file, output, scorer, "1", {})
    return Run("file to file", rows, scored.alarms, measured)


def score_in_memory(model: Mapping[str, bytes], file: Path, warm_up: Path, rows: int) -> Run:
    """The scorer alone: the rows are read before the clock starts."""
    import pandas as pd

    from predictive_maintenance.scorer.scoring import Scorer

    scorer, frame = Scorer.from_files(model), pd.read_csv(file)
    scorer.probabilities(pd.read_csv(warm_up))
    measured, probabilities = measure(1, scorer.probabilities, frame)
    return Run("in memory", rows, int(scorer.decisions(probabilities).sum()), measured)


def run_table(runs: list[Run]) -> str:
    """Seconds, rows/s and peak memory of each run."""
    lines = []
    for run in runs:
        seconds, peak_mib = run.measured.seconds, run.measured.peak_mib
        speed = run.rows / seconds
        lines.append(
            [run.way, f"{run.rows:,}", f"{seconds:.2f}", f"{speed:,.0f}", f"{peak_mib:,.0f}", f"{run.alarms:,}"]
        )
    return markdown_table(["way", "rows", "s", "rows/s", "peak MiB", "alarms"], lines)


def summary(runs: list[Run]) -> str:
    """The ratio of both ways at all rows, and how the memory of the file's way grew."""
    small, _, file, memory = runs
    ratio, growth = file.measured.seconds / memory.measured.seconds, file.measured.peak_mib / small.measured.peak_mib
    return markdown_table(
        ["measure", "value"],
        [
            [f"time, file to file / in memory, at {file.rows:,} rows", f"{ratio:.2f}"],
            [f"peak of file to file, {file.rows:,} rows / {small.rows:,} rows", f"{growth:.2f}"],
        ],
    )


def _row_count(text: str) -> int:
    if not text.isdecimal() or int(text) < MIN_ROWS:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from {MIN_ROWS:,} on: a tenth is measured, too")
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=_row_count, default=1_000_000, metavar="N", help="rows to score  [default: 1000000]"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
