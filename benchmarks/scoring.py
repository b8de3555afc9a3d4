"""Time and memory of scoring a file, compared with scoring a data frame.

    python benchmarks/scoring.py --rows 1000000

`file to file` is the command `score`: read a CSV file, check every cell, score, write a CSV file. `in memory` is the scorer
alone on a data frame of the same rows. Their ratio is the cost of the file. Both use the same model, trained here. Each
line is a new process; the peak is its resident memory while it scores.

Expected: from a tenth of the rows to all rows, the peak of `file to file` grows by some tens of MiB at most, because the file is
read in batches. The peak of `in memory` grows with the rows.
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
    """One measurement of one file. Equal `alarms` show that both methods did the same work."""

    method: str
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
                in_child(method, model, file, folder / "warm_up.csv", rows)
                for method in (score_file_to_file, score_in_memory)
            ]
    print(f"{describe_machine()}\n\n{run_table(runs)}\n\n{summary(runs)}")


def train_model() -> dict[str, bytes]:
    """Train LightGBM with the fixed hyperparameters of params.yaml on simulated readings. Return the model files."""
    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import export_model
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    params = load_params()
    ingested = ingest((Source(uri=f"simulator://?rows={TRAINING_ROWS}"),), params.machine)
    cleaned = clean(ingested, params.machine, params.cleaning)
    rows = split(params.machine.with_features(cleaned.frame), params.machine, params.split, params.training.seed)
    trained = train_untuned("lightgbm", rows.train, rows.fold, params)
    return export_model(trained, rows, params)


def score_file_to_file(model: Mapping[str, bytes], file: Path, warm_up: Path, rows: int) -> Run:
    """Score CSV to CSV like the command `score`, after a warm-up on a small file."""
    from predictive_maintenance.inference.files import score_file
    from predictive_maintenance.scorer.scoring import Scorer

    scorer, output = Scorer.from_files(model), file.with_suffix(".scored.csv")
    score_file(warm_up, output, scorer, "1", {})
    measured, scored = measure(1, score_file, file, output, scorer, "1", {})
    return Run("file to file", rows, scored.alarms, measured)


def score_in_memory(model: Mapping[str, bytes], file: Path, warm_up: Path, rows: int) -> Run:
    """Score a data frame that was read before the measurement."""
    import pandas as pd

    from predictive_maintenance.scorer.scoring import Scorer

    scorer, frame = Scorer.from_files(model), pd.read_csv(file)
    scorer.probabilities(pd.read_csv(warm_up))
    measured, probabilities = measure(1, scorer.probabilities, frame)
    return Run("in memory", rows, int(scorer.decisions(probabilities).sum()), measured)


def run_table(runs: list[Run]) -> str:
    """Time, rows per second and peak memory of each run."""
    lines = []
    for run in runs:
        seconds, peak_mib = run.measured.seconds, run.measured.peak_mib
        speed = run.rows / seconds
        lines.append(
            [run.method, f"{run.rows:,}", f"{seconds:.2f}", f"{speed:,.0f}", f"{peak_mib:,.0f}", f"{run.alarms:,}"]
        )
    return markdown_table(["method", "rows", "s", "rows/s", "peak MiB", "alarms"], lines)


def summary(runs: list[Run]) -> str:
    """The ratio of both methods at all rows, and the growth of the peak of file to file."""
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
        raise argparse.ArgumentTypeError(
            f"{text!r}: give a whole number of at least {MIN_ROWS:,}: a tenth of it is measured too"
        )
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=_row_count, default=1_000_000, metavar="N", help="rows to score  [default: 1000000]"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
