"""Whether simulated readings for training only help: the forward-in-time report with and without them, over several seeds.

    python benchmarks/physics.py ai4i2020.csv              five seeds, takes about 4 minutes; --algorithm random_forest takes 10

The package ingests and cleans the real readings and `train:simulator://`, and splits the real ones in time as the report does: a
model is trained on the earlier ones, once alone and once with simulated readings, and evaluated on the latest ones. A seed is
that of the model, the folds and the simulation; the real rows are the same. Differences are paired: both models are scored on the
same draws of tool lives, and the intervals are those of the mean over the seeds, which are drawn as well.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from measuring import describe_machine, markdown_table

if TYPE_CHECKING:
    from predictive_maintenance.config.params import Params
    from predictive_maintenance.training.splits import SplitRows

DRAWS = 500
ALONE = 0
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions (n,) for the latest readings. `groups` (n,) are the numbers of their tool lives."""

    labels: npt.NDArray[np.int8]
    probabilities: FloatArray
    decisions: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.int64]

    def metrics(self, weights: FloatArray) -> FloatArray:
        """PR-AUC, F1, recall and precision, (4,), of rows with `weights` (n,)."""
        from sklearn.metrics import average_precision_score

        failed = self.labels == 1
        caught, alarms, failures = (
            float(weights[rows].sum()) for rows in (failed & self.decisions, self.decisions, failed)
        )
        f1, recall, precision = 2 * caught / (alarms + failures), caught / failures, caught / max(alarms, 1.0)
        return np.array(
            [average_precision_score(failed, self.probabilities, sample_weight=weights), f1, recall, precision]
        )


METRICS = ("PR-AUC", "F1", "recall", "precision")


def main() -> None:
    arguments = _arguments()
    seeds, sizes = range(1, arguments.seeds + 1), (ALONE, *arguments.rows)
    found: dict[int, list[Predictions]] = {size: [] for size in sizes}
    for seed in seeds:
        for size in sizes:
            found[size].append(predict_latest(arguments, size, seed))
            _report(f"seed {seed}, {size:,} simulated rows: {_text(found[size][-1])}")
    latest = found[ALONE][0]
    print(f"{describe_machine()}\n")
    print(
        f"{arguments.algorithm}, {len(seeds)} seeds; the {len(latest.labels):,} latest rows with {latest.labels.sum()} failures "
        f"in {latest.groups.max() + 1} tool lives\n"
    )
    print(markdown_table(("simulated rows", *METRICS), [_means(size, found[size]) for size in sizes]), end="\n\n")
    differences = compare(found, np.random.default_rng(0))
    print(
        markdown_table(
            ("difference to 0 simulated rows", *METRICS), [_intervals(*line) for line in differences.items()]
        )
    )


def predict_latest(arguments: argparse.Namespace, simulated_rows: int, seed: int) -> Predictions:
    """Train on the earlier real readings, and so many simulated ones, and predict the latest real ones."""
    import pandas as pd

    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import estimator_probabilities
    from predictive_maintenance.training.splits import assign_folds, forward_split

    simulated = f",train:simulator://milling?rows={simulated_rows}&seed={seed}" if simulated_rows else ""
    params = load_params(machine="milling").override(sources=arguments.file + simulated, seed=seed)
    rows = read_rows(params)
    every = pd.concat([rows.train, rows.test]).sort_values("position", ignore_index=True)
    is_later = forward_split(every, arguments.share)
    earlier, latest = every[~is_later].reset_index(drop=True), every[is_later].reset_index(drop=True)
    fold = assign_folds(earlier, params.machine, params.split.folds, seed)
    trained = train_untuned(arguments.algorithm, earlier, fold, params, rows.training_only)
    probabilities = estimator_probabilities(trained, latest, params.machine)
    return Predictions(
        labels=latest[params.machine.label_name].to_numpy(),
        probabilities=probabilities,
        decisions=probabilities >= trained.threshold,
        groups=np.unique(latest["group"].astype("str"), return_inverse=True)[1],
    )


def read_rows(params: "Params") -> "SplitRows":
    """The labelled rows of the sources with their features."""
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    machine, data = params.machine, params.data
    cleaned = clean(ingest(data.sources, machine), machine, params.cleaning)
    rows = machine.with_features(cleaned.frame)
    return split(rows, machine, params.split, params.training.seed, training_only=data.training_only)


def compare(
    found: Mapping[int, Sequence[Predictions]], random: np.random.Generator
) -> dict[int, tuple[FloatArray, FloatArray]]:
    """By number of simulated rows: the mean differences to none over the seeds (4,), and draws of them (DRAWS, 4)."""
    from predictive_maintenance.evaluation.intervals import bootstrap_draws

    first = found[ALONE][0]
    samples: dict[int, list[FloatArray]] = {size: [] for size in found if size != ALONE}
    for drawn in bootstrap_draws(int(first.groups.max()) + 1, DRAWS, 0):
        seeds = random.integers(0, len(found[ALONE]), len(found[ALONE]))
        for size, differences in _differences(found, drawn[first.groups]).items():
            samples[size].append(differences[seeds].mean(axis=0))
    values = _differences(found, np.ones(len(first.labels)))
    return {size: (values[size].mean(axis=0), np.array(samples[size])) for size in samples}


def _differences(found: Mapping[int, Sequence[Predictions]], weights: FloatArray) -> dict[int, FloatArray]:
    """(seeds, 4) the metrics with simulated rows minus those without, by their number."""
    metrics = {size: np.array([one.metrics(weights) for one in of_seeds]) for size, of_seeds in found.items()}
    return {size: values - metrics[ALONE] for size, values in metrics.items() if size != ALONE}


def _means(size: int, found: Sequence[Predictions]) -> list[str]:
    """The mean of each metric over the seeds, and its range."""
    values = np.array([one.metrics(np.ones(len(one.labels))) for one in found])
    return [f"{size:,}", *(f"{column.mean():.2f} ({column.min():.2f} to {column.max():.2f})" for column in values.T)]


def _intervals(size: int, difference: tuple[FloatArray, FloatArray]) -> list[str]:
    """Each difference with its 95 % interval."""
    value, samples = difference
    low, high = np.quantile(samples, [0.025, 0.975], axis=0)
    return [f"{size:,}", *(f"{value[at]:+.2f} [{low[at]:+.2f}, {high[at]:+.2f}]" for at in range(len(METRICS)))]


def _text(predictions: Predictions) -> str:
    values = predictions.metrics(np.ones(len(predictions.labels)))
    return ", ".join(f"{name} {value:.3f}" for name, value in zip(METRICS, values, strict=True))


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="real readings of a milling machine, such as AI4I 2020")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000], help="numbers of simulated rows")
    parser.add_argument("--algorithm", choices=["lightgbm", "random_forest"], default="lightgbm")
    parser.add_argument("--share", type=float, default=0.3, help="share of the latest real readings that are evaluated")
    return parser.parse_args()


if __name__ == "__main__":
    main()
