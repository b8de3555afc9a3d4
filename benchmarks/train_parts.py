"""Time and memory of LightGBM on rows in Parquet files, and of the evaluation by summaries.

    python benchmarks/train_parts.py --rows 10000000 --features 54 --folder /tmp/parts

Each stage runs in a new process, so that its peak memory is its own: `write` simulates the parts, `fit` fits all folds but one,
`evaluate` predicts the rows of the other fold, summarises the predictions, and computes every metric with its interval.
`--stages` runs some of them; the files stay in the folder.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import describe_machine, in_child, markdown_table, read_peak_mib, reset_peak

PART_ROWS = 1_000_000
ROW_GROUP_ROWS = 131_072
MACHINES = 1_000
FOLDS = 5
HELD_OUT = 0
STAGES = ("write", "fit", "evaluate")
MODEL = "model.txt"


def main() -> None:
    arguments = _arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for stage in arguments.stages:
        print(f"{stage} ...", file=sys.stderr, flush=True)
        seconds, peak_mib, note = in_child(run_stage, stage, arguments)
        lines.append([stage, f"{seconds:.1f}", f"{peak_mib:,.0f}", note])
    title = f"{arguments.rows:,} rows x {arguments.features} features, {arguments.trees} trees"
    print(f"{describe_machine()}\n\n{title}\n\n{markdown_table(['stage', 's', 'peak MiB', ''], lines)}")


def run_stage(stage: str, arguments: argparse.Namespace) -> tuple[float, float, str]:
    """Seconds, peak memory in MiB, and a note on the result of one stage."""
    run = {"write": write, "fit": fit, "evaluate": evaluate}[stage]
    reset_peak()
    start = time.perf_counter()
    note = run(arguments)
    return time.perf_counter() - start, read_peak_mib(), note


def write(arguments: argparse.Namespace) -> str:
    """Write the parts: the machines of each are its own, and a failure depends on two features and the machine."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    bytes_written = 0
    for number, start in enumerate(range(0, arguments.rows, PART_ROWS)):
        rows = min(PART_ROWS, arguments.rows - start)
        random = np.random.default_rng(number)
        owner = np.sort(random.integers(0, MACHINES // 10, rows)) + number * MACHINES
        features = random.standard_normal((arguments.features, rows), dtype=np.float32)
        risk = 1 / (1 + np.exp(-(1.5 * features[0] + features[1] * features[2] + np.sin(owner) - 6)))
        columns: dict[str, Any] = dict(zip(_names(arguments), features, strict=True))
        columns["label"] = (random.random(rows) < risk).astype(np.int8)
        columns["group"] = pa.array([f"machine {one}" for one in owner]).dictionary_encode()
        columns["fold"] = (owner % FOLDS).astype(np.int8)
        file = arguments.folder / f"part-{number:05}.parquet"
        pq.write_table(pa.table(columns), file, row_group_size=ROW_GROUP_ROWS)
        bytes_written += file.stat().st_size
    return f"{bytes_written / 2**20:,.0f} MiB"


def fit(arguments: argparse.Namespace) -> str:
    """Fit LightGBM to all folds but the one that is held out."""
    from predictive_maintenance.training.lightgbm_parts import fit_lightgbm
    from predictive_maintenance.training.row_parts import row_groups

    parts = _parts(arguments)
    groups = row_groups(parts, without=HELD_OUT)
    settings = {"n_estimators": arguments.trees, "num_leaves": 31}
    model = fit_lightgbm(groups, parts.features, parts.label, settings, 7, arguments.threads)
    model.booster_.save_model(arguments.folder / MODEL)
    return f"{sum(group.rows for group in groups):,} rows"


def evaluate(arguments: argparse.Namespace) -> str:
    """Predict the held-out fold one row group after the other, and compute the metrics and intervals of the summary."""
    from lightgbm import Booster

    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.evaluation.metrics import score_summary
    from predictive_maintenance.evaluation.prediction_summary import PredictionSummary
    from predictive_maintenance.evaluation.ranking import average_precision
    from predictive_maintenance.training.row_parts import row_groups

    parts, params, booster = _parts(arguments), load_params(), Booster(model_file=arguments.folder / MODEL)
    start = time.perf_counter()

    def summaries() -> Any:
        for group in row_groups(parts, only=HELD_OUT):
            scores = np.asarray(booster.predict(group.features(parts.features), num_threads=arguments.threads))
            names = group.column(parts.group)
            yield PredictionSummary.of(group.integers(parts.label), scores, scores >= 0.1, names)

    summary = PredictionSummary.merged(summaries())
    summarised = time.perf_counter() - start
    scores = score_summary(summary, params.costs, params.evaluation, 7)
    found, interval = average_precision(summary.scores), scores["pr_auc"]
    return (
        f"{scores.rows:,} rows, {scores.groups:,} groups, {len(summary.groups.keys):,} pairs; predicted and summarised in "
        f"{summarised:.1f} s; PR-AUC {found.value:.4f} +- {found.max_error:.1e} [{interval.low:.4f}, {interval.high:.4f}]"
    )


def _parts(arguments: argparse.Namespace) -> Any:
    from predictive_maintenance.training.row_parts import RowParts

    files = tuple(sorted(arguments.folder.glob("part-*.parquet")))
    return RowParts(files=files, features=_names(arguments), label="label")


def _names(arguments: argparse.Namespace) -> tuple[str, ...]:
    return tuple(f"feature_{number}" for number in range(arguments.features))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of all parts  [default: 10000000]")
    parser.add_argument("--features", type=int, default=5, help="features, at least 3  [default: 5]")
    parser.add_argument("--trees", type=int, default=50, help="trees of the model  [default: 50]")
    parser.add_argument("--threads", type=int, default=2, help="threads of LightGBM  [default: 2]")
    parser.add_argument("--folder", type=Path, required=True, help="where the parts are written")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="stages to run  [default: all]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
