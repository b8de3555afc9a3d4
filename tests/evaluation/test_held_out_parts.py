"""What the gate judges is the same for rows in one table and for parts of them, on machines unlike each other."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.engine.dask_engine import open_cluster
from predictive_maintenance.engine.engine import InProcess
from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.evaluate import evaluate
from predictive_maintenance.evaluation.held_out import Judge
from predictive_maintenance.evaluation.out_of_fold import evaluate_out_of_fold, trained_rows
from predictive_maintenance.training.parts_candidate import train_candidate_from_parts
from predictive_maintenance.training.time_split import is_by_time
from predictive_maintenance.validation.row_identity import row_hashes
from tests.fixtures.evaluations import evaluated, out_of_fold_of
from tests.partitions.conftest import EndingWorkers, run_in_parts

MACHINES = ("compressor", "engine", "pump")


@pytest.fixture(params=MACHINES)
def model(request, small_compressor, small_engine, small_pump):
    return {"compressor": small_compressor, "engine": small_engine, "pump": small_pump}[request.param]


@pytest.fixture
def sources(model, small_pump, small_engine, engine_csv, compressor_csv, pump_sources):
    if model is small_pump:
        return pump_sources
    return (Source(uri=str(engine_csv if model is small_engine else compressor_csv)),)


@pytest.fixture
def champion(model):
    """The model itself as champion that was trained on a tenth of the held-out rows: of the earliest, if there is a time."""
    test = model.rows.test
    if model.params.machine.is_over_time:
        test = test.sort_values("timestamp").head(len(test) // 2)
    return BaselineModel(
        version="3",
        scorer=model.scorer,
        training_rows=np.sort(row_hashes(test["reading_id"].iloc[::5])),
        training_fingerprint="other",
    )


def judged(model, champion, rows, by="auto"):
    params = model.params.model_copy(update={"split": model.params.split.model_copy(update={"by": by})})
    judge = Judge(model.trained, model.scorer, champion, params)
    return judge.of_rows(rows) if rows is model.rows else judge.of_parts(rows, InProcess())


def counts(held_out):
    """What does not depend on the order of the rows."""
    comparison = held_out.comparison
    return (
        held_out.scores.confusion,
        held_out.scores.groups,
        held_out.modes,
        held_out.thresholds.to_dict("list"),
        held_out.calibration[["rows", "observed_share"]].to_dict("list"),
        held_out.agreement,
        (comparison.rows, comparison.failures, comparison.seen_rows, comparison.refused_rows, comparison.notes),
        comparison.champion.confusion,
        held_out.events and (held_out.events.failures, held_out.events.caught, held_out.events.false_alarms),
        [(one.ahead, one.rows, one.recall.value, one.precision.value) for one in held_out.horizons],
    )


@pytest.mark.parametrize("by", ["auto", "time"])
def test_the_results_on_parts_are_those_on_one_table(model, champion, sources, tmp_path, by):
    if by == "time" and not model.params.machine.is_over_time:
        pytest.skip("this machine has no time")
    expected = judged(model, champion, model.rows, by)
    one = judged(model, champion, run_in_parts(sources, model.params, tmp_path / "one", 10**6).rows, by)
    assert repr(one) == repr(expected)
    many = run_in_parts(sources, model.params, tmp_path / "many", len(model.rows.train) // 3)
    assert len(many.rows.parts) > 2
    found = judged(model, champion, many.rows, by)
    assert counts(found) == counts(expected)
    assert expected.comparison.seen_rows > 0
    for name, estimate in expected.scores.estimates.items():
        assert found.scores[name].value == pytest.approx(estimate.value, rel=1e-12)
        assert found.scores[name].low <= found.scores[name].value <= found.scores[name].high, name


def test_a_champion_that_cannot_be_read_is_no_comparison_of_parts_either(model, champion, sources, tmp_path):
    unreadable = replace(champion, scorer=None, unreadable="model.onnx is missing")
    rows = run_in_parts(sources, model.params, tmp_path, len(model.rows.train) // 3).rows
    assert judged(model, unreadable, rows).comparison == judged(model, unreadable, model.rows).comparison


def test_a_sample_of_the_rows_is_evaluated_with_a_note_and_the_gate_judges_all_rows(model, sources, tmp_path):
    settings = model.params.evaluation.model_copy(update={"sample_rows": 1000})
    params = model.params.model_copy(update={"evaluation": settings})
    rows = run_in_parts(sources, params, tmp_path, len(model.rows.train) // 3).rows
    sample = rows.load(rows.sample(1000))
    assert len(sample.train) + len(sample.test) < len(model.rows.train)
    held_out = Judge(model.trained, model.scorer, None, params).of_parts(rows, InProcess())
    found = evaluate(model.trained, out_of_fold_of(model), held_out, model.scorer, sample, params)
    assert found.held_out.rows == len(model.rows.test)
    assert f"from {len(sample.train) + len(sample.test):,} of {len(model.rows.train) + len(model.rows.test):,}" in (
        found.notes()
    )
    every = evaluated(model)
    assert found.verdict == every.verdict
    assert "A sample" not in every.notes()


def test_out_of_fold_predictions_of_parts_are_evaluated_as_those_of_a_table(model, sources, tmp_path):
    params = model.params.override(trials=1)
    rows = run_in_parts(sources, params, tmp_path / "rows", len(model.rows.train) // 3).rows
    (tmp_path / "predictions").mkdir()
    with rows.row_parts() as parts:
        _, predictions = train_candidate_from_parts(
            "lightgbm", parts, params, tmp_path / "predictions", machine_times=rows.machine_times
        )
        found = evaluate_out_of_fold(trained_rows(predictions, rows), params)
        parts_in_memory = list(trained_rows(predictions, rows))
    assert found.scores.rows == len(model.rows.train)
    positive = sum(int(part.out_of_fold.decisions.sum()) for part in parts_in_memory)
    confusion = found.scores.confusion
    assert confusion.true_positives + confusion.false_positives == positive
    assert found.scores["pr_auc"].value > 0.5
    if model.params.machine.is_over_time:
        assert found.events.machines == model.rows.train["machine_id"].nunique()
        assert found.policy_rows == len(model.rows.train)
        assert len(found.policies) > 1


def test_the_passes_over_the_parts_are_shown(model, champion, sources, tmp_path):
    rows = run_in_parts(sources, model.params, tmp_path, len(model.rows.train) // 3).rows
    shown = []
    Judge(model.trained, model.scorer, champion, model.params).of_parts(rows, InProcess(), shown.append)
    stages = {"champion rows", "evaluating"} if is_by_time(model.params.machine, model.params.split) else {"evaluating"}
    assert {done.stage for done in shown if done.number == done.parts} == stages


class _Counting(InProcess):
    """An engine that counts the bytes that each worker gets."""

    def __init__(self):
        self.bytes = []

    def map(self, work, shared, items):
        self.bytes.append(len(pickle.dumps(shared)))
        return super().map(work, shared, items)


def test_the_workers_are_not_sent_the_rows_that_the_champion_was_trained_on(model, champion, sources, tmp_path):
    rows = run_in_parts(sources, model.params, tmp_path, len(model.rows.train) // 3).rows
    many = np.sort(np.concatenate([champion.training_rows, np.arange(10**6, dtype=np.uint64)]))
    judge = Judge(model.trained, model.scorer, replace(champion, training_rows=many), model.params)
    engine = _Counting()
    found = judge.of_parts(rows, engine)
    assert max(engine.bytes) < many.nbytes
    plain = Judge(model.trained, model.scorer, champion, model.params)
    assert repr(found) == repr(plain.of_parts(rows, InProcess()))


@pytest.fixture(scope="module")
def cluster():
    """The engine on a local cluster."""
    with open_cluster(None) as engine:
        yield engine


@pytest.mark.parametrize("model", ["pump"], indirect=True)
def test_workers_that_end_in_each_stage_change_nothing(model, champion, sources, tmp_path, cluster):
    rows = run_in_parts(sources, model.params, tmp_path, len(model.rows.train) // 3).rows
    by_time = model.params.model_copy(update={"split": model.params.split.model_copy(update={"by": "time"})})
    judge = Judge(model.trained, model.scorer, champion, by_time)
    found = judge.of_parts(rows, EndingWorkers(cluster, tmp_path))
    assert len(list(tmp_path.glob("*-ended"))) == 2  # in the rows of the champion, and in those that are held out
    assert repr(found) == repr(judge.of_parts(rows, InProcess()))
