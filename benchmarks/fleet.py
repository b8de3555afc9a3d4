"""History and events against the current reading alone, on the simulated fleet of pumps.

    python benchmarks/fleet.py              five seeds, takes 6 to 10 minutes and 1.8 GiB; --seeds 1 takes a fifth

For each seed, the simulator makes the tables of a fleet. The package ingests, cleans and labels them, and computes the features
of the shipped description. A LightGBM without tuning is trained on four fifths of the machines and scored on the others, three
times: with the shipped description, without its features from events, and without its history. Thresholds are chosen on
out-of-fold rows of the training machines. Each seed is a process of its own.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from measuring import describe_machine, in_child, markdown_table, read_peak_mib

if TYPE_CHECKING:
    from predictive_maintenance.config.params import Params
    from predictive_maintenance.training.splits import SplitRows

VARIANTS = CURRENT, WINDOWS, EVENTS = "the current reading", "and windows", "and events and maintenance"
MAX_FALSE_ALARMS = (1.0, 0.1)
"""Limits per machine-month, for the out-of-fold alarms."""
SETTINGS = {
    "split": {"max_train_rows": None},
    "threshold": {"optimise": "f1"},
    "evaluation": {"min_lead": "24h", "bootstrap_samples": 100},
}
HYPERPARAMETERS: dict[str, int | float | str | bool] = {"n_estimators": 150, "num_leaves": 15, "max_bin": 63}
_BY_READING = ("pr_auc", "f1", "precision", "recall")
_BY_FAILURE = ("failures_caught", "median_lead_time", "false_alarm_rate")


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """What one fleet gave, on `machines` held-out machines that failed `failures` times.

    `by_reading` has scores by variant and metric, `by_failure` by variant, limit of false alarms and metric. `positives` is the
    share of positive rows among the `rows` that are scored. `peak_mib` is the peak memory of the process.
    """

    rows: int
    positives: float
    machines: int
    failures: int
    by_reading: Mapping[str, Mapping[str, float]]
    by_failure: Mapping[tuple[str, float], Mapping[str, float]]
    peak_mib: float


class Model(NamedTuple):
    """(n,) labels and out-of-fold probabilities of the training rows, and (m,) probabilities of the held-out rows."""

    labels: Any
    out_of_fold: Any
    held_out: Any


def main() -> None:
    arguments = _arguments()
    results = []
    for seed in range(1, arguments.seeds + 1):
        _report(f"seed {seed}: tables and features ...")
        results.append(in_child(score_seed, seed, arguments.machines, arguments.days, arguments.sample))
        _report(f"seed {seed}: peak {results[-1].peak_mib:.0f} MiB")
    print(f"{describe_machine()}\n")
    print(f"{_about(results)}\n")
    by_reading = [
        (variant, *_means([result.by_reading[variant] for result in results], _BY_READING)) for variant in VARIANTS
    ]
    print(markdown_table(("features", "PR-AUC", "F1", "precision", "recall"), by_reading), end="\n\n")
    by_failure = [
        (variant, f"{limit:g}", *_means([result.by_failure[variant, limit] for result in results], _BY_FAILURE))
        for limit in MAX_FALSE_ALARMS
        for variant in VARIANTS
    ]
    print(markdown_table(("features", "limit", "failures caught", "median lead time, d", "false alarms"), by_failure))


def score_seed(seed: int, machines: int, days: int, sample: int) -> SeedResult:
    """Train and score every variant on the fleet of `seed`, with every `sample`-th labelled reading of a machine."""
    from predictive_maintenance.config.params_file import load_params

    uri = f"simulator://fleet?machines={machines}&days={days}&seed={seed}"
    shipped = load_params(machine="fleet").override(sources=uri)
    variants = described_variants(shipped)
    rows = read_rows(variants[EVENTS], sample)
    by_reading: dict[str, Mapping[str, float]] = {}
    by_failure: dict[tuple[str, float], Mapping[str, float]] = {}
    for name, params in variants.items():
        model = train(rows, params)
        by_reading[name] = score_readings(model, rows, params)
        _report(f"seed {seed}: {name}: {_text(by_reading[name])}")
        for limit in MAX_FALSE_ALARMS:
            by_failure[name, limit] = score_failures(model, rows, params, limit)
            _report(f"seed {seed}: {name}, at most {limit:g}: {_text(by_failure[name, limit])}")
    labels = rows.test[shipped.machine.label_name]
    return SeedResult(
        rows=len(labels),
        positives=float(labels.mean()),
        machines=rows.test["machine_id"].nunique(),
        failures=int(by_failure[EVENTS, MAX_FALSE_ALARMS[0]]["failures"]),
        by_reading=by_reading,
        by_failure=by_failure,
        peak_mib=read_peak_mib(),
    )


def described_variants(shipped: "Params") -> "dict[str, Params]":
    """The settings of each variant by name: the shipped description, and those without some of its history."""
    from predictive_maintenance.config.machine_file import parse_machine
    from predictive_maintenance.machine.machine_json import to_plain

    plain = shipped.machine.description.plain()
    windows = {name: value for name, value in plain["history"].items() if name != "events"}
    descriptions: dict[str, dict[str, Any]] = {
        CURRENT: {name: value for name, value in plain.items() if name != "history"},
        WINDOWS: plain | {"history": windows},
        EVENTS: plain,
    }
    return {
        name: shipped.override(machine=to_plain(parse_machine(json.dumps(described))), machine_params=SETTINGS)
        for name, described in descriptions.items()
    }


def read_rows(params: "Params", sample: int) -> "SplitRows":
    """The labelled rows of the sources with their features, split by machine."""
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.training.labelling import label, labelled_rows
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    machine = params.machine
    ingested = ingest(params.data.sources, machine)
    cleaned = clean(ingested, machine, params.cleaning, ingested.events)
    events = cleaned.event_frames()
    labelled = labelled_rows(cleaned.frame, label(cleaned.frame, machine, events), machine, events)
    number = labelled.frame.groupby("machine_id", sort=False).cumcount()
    rows = labelled.frame[number % sample == 0].reset_index(drop=True)
    by_machine = params.split.model_copy(update={"by": "group", "max_train_rows": None})
    return split(rows, machine, by_machine, params.training.seed, labelled.unlabelled, events)


def train(rows: "SplitRows", params: "Params") -> Model:
    """Train on the training machines, in cross-validation and on all of them."""
    from predictive_maintenance.training.estimators import build_estimator, failure_probabilities
    from predictive_maintenance.training.tuning import cross_validate

    machine, training = params.machine, params.training
    features, labels = machine.feature_matrix(rows.train), rows.train[machine.label_name].to_numpy()
    out_of_fold = cross_validate("lightgbm", HYPERPARAMETERS, features, labels, rows.fold, training)
    estimator = build_estimator("lightgbm", HYPERPARAMETERS, training.seed, training.threads).fit(features, labels)
    return Model(labels, out_of_fold, failure_probabilities(estimator, machine.feature_matrix(rows.test)))


def score_readings(model: Model, rows: "SplitRows", params: "Params") -> dict[str, float]:
    """Scores of the held-out rows, at the threshold with the best F1 on the out-of-fold rows."""
    from predictive_maintenance.evaluation.row_sets import score_rows
    from predictive_maintenance.training.thresholds import select_threshold

    threshold = select_threshold(model.labels, model.out_of_fold, params.threshold, params.costs)
    scores = score_rows(rows.test, model.held_out, model.held_out >= threshold, params)
    return {name: scores[name].value for name in _BY_READING}


def score_failures(model: Model, rows: "SplitRows", params: "Params", limit: float) -> dict[str, float]:
    """Scores by failure event on the held-out machines, at the threshold that catches the most failures within the limit."""
    from predictive_maintenance.config.event_rules import event_rules
    from predictive_maintenance.evaluation.failure_events import judge_alarms, score_events
    from predictive_maintenance.history.observed import observe
    from predictive_maintenance.training.alarm_thresholds import select_threshold_of_alarms

    limited = params.threshold.model_copy(update={"at_most_false_alarms": limit})
    params, rules = params.model_copy(update={"threshold": limited}), event_rules(params)
    assert rules is not None
    seen_in_training, held_out = (observe(params.machine, frame, rows.history) for frame in (rows.train, rows.test))
    threshold = select_threshold_of_alarms(model.labels, model.out_of_fold, params, seen_in_training)
    judged = judge_alarms(held_out, model.held_out >= threshold, rules)
    scores = score_events(judged, rules, params.costs, params.evaluation, params.training.seed)
    return {name: scores[name].value for name in _BY_FAILURE} | {"failures": scores.failures}


def _means(scores: Sequence[Mapping[str, float]], names: Sequence[str]) -> Iterator[str]:
    """For each metric, the mean over the seeds and the range."""
    for name in names:
        values, decimals = [of_seed[name] for of_seed in scores], 1 if name == "median_lead_time" else 2
        yield f"{np.mean(values):.{decimals}f} ({np.min(values):.{decimals}f} to {np.max(values):.{decimals}f})"


def _about(results: Sequence[SeedResult]) -> str:
    """What the tables are about."""
    machines = _span([result.machines for result in results])
    failures = _span([result.failures for result in results])
    rows = _span([result.rows for result in results])
    positives = np.mean([result.positives for result in results])
    return (
        f"Means and ranges over {len(results)} seeds; for each, {machines} held-out machines with {failures} failures and {rows} "
        f"rows, {positives:.1%} of them positive. Peak: {max(result.peak_mib for result in results):,.0f} MiB.\n"
        "limit: false alarms per machine-month that the threshold may give on out-of-fold rows; false alarms: those per "
        "machine-month on the held-out machines. Caught failures have an alarm at least 24 h before."
    )


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _text(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in scores.items())


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="number of fleets")
    parser.add_argument("--machines", type=int, default=100, help="machines of a fleet")
    parser.add_argument("--days", type=int, default=365, help="days of a fleet")
    parser.add_argument("--sample", type=int, default=4, help="every n-th reading is trained on and scored")
    return parser.parse_args()


if __name__ == "__main__":
    main()
