"""Training on rows in Parquet files gives the model that the rows in one table give."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from predictive_maintenance.errors import ConfigError, DataError
from predictive_maintenance.training import parts_candidate
from predictive_maintenance.training.candidate import train_candidate
from predictive_maintenance.training.estimators import build_estimator, failure_probabilities
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.lightgbm_parts import fit_lightgbm
from predictive_maintenance.training.out_of_fold_parts import select_from_summaries
from predictive_maintenance.training.parts_candidate import (
    FinishedFit,
    forest_rows_that_fit,
    train_candidate_from_parts,
)
from predictive_maintenance.training.row_parts import RowSample, count_classes, read_rows, row_groups
from predictive_maintenance.training.score_summary import ScoreSummary
from tests.fixtures.row_parts import milling_table, pump_table, write_parts

HYPERPARAMETERS = {"n_estimators": 30, "subsample_freq": 1, "subsample": 0.7, "colsample_bytree": 0.7}
PUMP_FEATURES = ("pressure", "flow", "heat")


def _trees(estimator):
    return estimator.booster_.model_to_string().partition("\nparameters:")[0]


def _sample(parts, params, rows=2500):
    return RowSample.of(count_classes(parts), rows, params.split.salt)


def _settings(params, **changes):
    return params.model_copy(update={"training": params.training.model_copy(update=changes)})


@pytest.fixture(scope="module")
def milling_parts(small, tmp_path_factory):
    table = milling_table(small)
    machine = small.params.machine
    return write_parts(tmp_path_factory.mktemp("milling"), table, machine.feature_names, machine.label_name)


@pytest.fixture(scope="module")
def pumps():
    return pump_table(6000)


@pytest.fixture(scope="module")
def pump_parts(pumps, tmp_path_factory):
    return write_parts(tmp_path_factory.mktemp("pumps"), pumps, PUMP_FEATURES, "broken", parts=4)


@pytest.fixture(scope="module")
def quick(params):
    return params.override(trials=2)


@pytest.mark.parametrize("without", [None, 2])
def test_lightgbm_fitted_to_parts_has_the_trees_of_one_fitted_to_a_table(pumps, pump_parts, without):
    chosen = ((pumps["fold"] != -1) & (pumps["fold"] != without)).to_numpy()
    rows = pumps[chosen]
    table = build_estimator("lightgbm", HYPERPARAMETERS, 7, 1)
    table.fit(rows[list(PUMP_FEATURES)].to_numpy(np.float32), rows["broken"].to_numpy())
    groups = row_groups(pump_parts, without=without)
    parts = fit_lightgbm(groups, PUMP_FEATURES, "broken", HYPERPARAMETERS, 7, 1)
    assert _trees(parts) == _trees(table)
    features = pumps[list(PUMP_FEATURES)].to_numpy(np.float32)
    np.testing.assert_array_equal(failure_probabilities(parts, features), failure_probabilities(table, features))
    assert parts.get_params() == table.get_params()


def test_the_trees_are_the_same_where_bins_are_made_from_a_sample_and_by_columns(pumps, pump_parts, monkeypatch):
    rows = pumps[pumps["fold"] != -1]
    settings = HYPERPARAMETERS | {"subsample_for_bin": 1000, "class_weight": "balanced"}
    table = build_estimator("lightgbm", settings, 7, 1)
    table.fit(rows[list(PUMP_FEATURES)].to_numpy(np.float32), rows["broken"].to_numpy())
    for many in (100_000_000, 1):
        monkeypatch.setattr("predictive_maintenance.training.lightgbm_parts._MANY_VALUES", many)
        parts = fit_lightgbm(row_groups(pump_parts), PUMP_FEATURES, "broken", settings, 7, 1)
        assert _trees(parts) == _trees(table)


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_a_candidate_of_few_rows_is_the_one_that_a_table_gives(small, quick, milling_parts, tmp_path, algorithm):
    quick = quick.model_copy(
        update={
            "candidates": quick.candidates
            | {
                name: one.model_copy(update={"fixed": dict(one.fixed) | {"n_estimators": 20}})
                for name, one in quick.candidates.items()
            }
        }
    )
    table = train_candidate(algorithm, small.rows.train, small.rows.fold, quick)
    parts, predictions = train_candidate_from_parts(algorithm, milling_parts, quick, tmp_path)
    assert parts.hyperparameters == table.hyperparameters
    assert (parts.calibration, parts.threshold) == (table.calibration, table.threshold)
    pd.testing.assert_frame_equal(parts.trials, table.trials)
    out_of_fold = [predictions.read(place) for place in range(len(milling_parts.files))]
    for name in ("probabilities", "decisions"):
        found = np.concatenate([getattr(one, name) for one in out_of_fold])
        np.testing.assert_array_equal(found, getattr(table.out_of_fold, name))
    assert parts.notes == ()
    assert export_model(parts, small.rows, quick) == export_model(table, small.rows, quick)


def test_a_search_on_a_sample_of_groups_evaluates_and_fits_all_rows(quick, pumps, pump_parts, tmp_path):
    some = _settings(quick, search_rows=2500)
    trained, predictions = train_candidate_from_parts("lightgbm", pump_parts, some, tmp_path)
    groups = row_groups(pump_parts)
    every = fit_lightgbm(groups, PUMP_FEATURES, "broken", trained.hyperparameters, some.training.seed, 1)
    assert _trees(trained.estimator) == _trees(every)
    place, file = 1, pump_parts.files[1]
    rows = pd.read_parquet(file)
    rows = rows[rows["fold"] != -1].reset_index(drop=True)
    found = predictions.read(place)
    assert len(found.probabilities) == len(rows)
    other = fit_lightgbm(
        row_groups(pump_parts, without=3), PUMP_FEATURES, "broken", trained.hyperparameters, some.training.seed, 1
    )
    held_out = (rows["fold"] == 3).to_numpy()
    raw = failure_probabilities(other, rows.loc[held_out, list(PUMP_FEATURES)].to_numpy(np.float32))
    order = np.argsort(raw)
    assert (np.diff(found.probabilities[held_out][order]) >= 0).all()  # calibration keeps the order
    assert average_precision_score(rows["broken"], found.probabilities) > 0.5
    searched = len(read_rows(pump_parts, _sample(pump_parts, some)).labels)
    assert f"were searched on {searched:,} of 4,985 training rows, a random sample of the rows" in trained.notes[0]


def test_a_random_forest_of_many_rows_is_fitted_to_a_sample_and_says_so(quick, pump_parts, tmp_path):
    some = _settings(quick, forest_rows=2500)
    trained, predictions = train_candidate_from_parts("random_forest", pump_parts, some, tmp_path)
    rows = read_rows(pump_parts, _sample(pump_parts, some))
    expected = build_estimator("random_forest", trained.hyperparameters, some.training.seed, 1)
    expected.fit(rows.features, rows.labels)
    features = rows.features[:50]
    np.testing.assert_array_equal(
        failure_probabilities(trained.estimator, features), failure_probabilities(expected, features)
    )
    assert f"the random forest is fitted to {len(rows.labels):,} of" in trained.notes[1]
    assert all(np.isfinite(predictions.read(place).probabilities).all() for place in range(4))


@pytest.mark.parametrize(("rows", "fits"), [(2500, 6), (None, 1)])
def test_each_fit_after_the_search_is_reported(quick, pump_parts, tmp_path, rows, fits):
    reported = []
    some = _settings(quick, search_rows=rows)
    train_candidate_from_parts("lightgbm", pump_parts, some, tmp_path, on_fit=reported.append)
    assert reported == [FinishedFit(number, fits) for number in range(fits + 1)]


@pytest.fixture
def free_memory(monkeypatch):
    """A function that sets the free memory in bytes."""
    return lambda memory: monkeypatch.setattr(parts_candidate, "available_memory", lambda: memory)


def test_a_forest_is_repeated_with_other_free_memory_by_the_number_that_was_recorded(
    quick, pump_parts, tmp_path, free_memory
):
    free_memory(10**7)
    first, _ = train_candidate_from_parts("random_forest", pump_parts, quick, tmp_path)
    assert 1000 < first.chosen["training.forest_rows"] < 4985
    free_memory(2**33)
    again = _settings(quick, forest_rows=first.chosen["training.forest_rows"])
    second, _ = train_candidate_from_parts("random_forest", pump_parts, again, tmp_path)
    assert (second.notes, second.chosen) == (first.notes, first.chosen)
    features = read_rows(pump_parts).features[:50]
    np.testing.assert_array_equal(
        failure_probabilities(first.estimator, features), failure_probabilities(second.estimator, features)
    )


@pytest.mark.parametrize(("memory", "expected"), [(2**33, "never"), (2**10, "always")])
def test_the_place_of_the_fits_of_lightgbm_is_recorded(
    quick, pump_parts, tmp_path, free_memory, monkeypatch, memory, expected
):
    free_memory(memory)
    monkeypatch.setenv("PDM_ENGINE", "dask")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")

    def fit(hyperparameters, without=None):
        return fit_lightgbm(row_groups(pump_parts), PUMP_FEATURES, "broken", hyperparameters, 7, 1)

    trained, _ = train_candidate_from_parts("lightgbm", pump_parts, quick, tmp_path, fit=fit)
    assert trained.chosen == {"training.cluster": expected}


def test_the_rows_of_a_forest_are_limited_by_the_memory():
    assert forest_rows_that_fit(54, 100, 8 * 2**30) == pytest.approx(3.0e6, rel=0.05)
    assert forest_rows_that_fit(54, 100, 2**30) < forest_rows_that_fit(5, 100, 2**30)


def test_selection_by_summaries_agrees_with_selection_by_rows(params):
    from predictive_maintenance.training.candidate import select_calibration_and_threshold

    random = np.random.default_rng(1)
    labels = (random.random(20_000) < 0.1).astype(int)
    raw = 1 / (1 + np.exp(-random.normal(4 * labels - 4, 1.5)))
    fold = np.arange(20_000) % 5
    calibration, threshold, _ = select_calibration_and_threshold(labels, raw, fold, params)
    for limit, tolerance in ((None, 1e-3), (5000, 5e-3)):
        by_fold = {number: ScoreSummary.of(labels[fold == number], raw[fold == number], limit) for number in range(5)}
        selected = select_from_summaries(by_fold, params.training, params.threshold, params.costs)
        assert selected.calibration.slope == pytest.approx(calibration.slope, rel=tolerance)
        assert selected.calibration.intercept == pytest.approx(calibration.intercept, abs=tolerance)
        assert selected.threshold == pytest.approx(threshold, rel=10 * tolerance)
        assert sorted(selected.of_fold) == [0, 1, 2, 3, 4]


def test_a_sample_without_failures_in_a_fold_is_refused_with_the_settings(quick, pumps, tmp_path):
    healthy = pumps.assign(broken=np.where(pumps["fold"] == 4, 0, pumps["broken"]))
    parts = write_parts(tmp_path, healthy, PUMP_FEATURES, "broken")
    with pytest.raises(DataError, match=r"fold 5 of 5 has 0 failures in .* lower split\.folds"):
        train_candidate_from_parts("lightgbm", parts, quick, tmp_path)


def test_a_part_without_a_column_or_with_text_is_refused_with_its_name(quick, pumps, tmp_path):
    parts = write_parts(tmp_path, pumps, (*PUMP_FEATURES, "noise"), "broken")
    with pytest.raises(DataError, match=r"part-0\.parquet: has no column noise: write the parts again"):
        train_candidate_from_parts("lightgbm", parts, quick, tmp_path)
    rows = pa.Table.from_pandas(pumps.assign(noise="loud"), preserve_index=False)
    for file in parts.files:
        pq.write_table(rows, file)
    with pytest.raises(
        DataError, match=r"part-0\.parquet: column noise has type (large_)?string, and numbers are needed"
    ):
        train_candidate_from_parts("lightgbm", parts, quick, tmp_path)


def test_a_limit_on_false_alarms_needs_a_search_of_all_rows(pump_params, pump_parts, tmp_path):
    threshold = pump_params.threshold.model_copy(update={"at_most_false_alarms": 1.0})
    limited = _settings(pump_params.model_copy(update={"threshold": threshold}), search_rows=2500)
    with pytest.raises(ConfigError, match=r"needs a search of all 4,985 rows: raise training\.search_rows"):
        train_candidate_from_parts("lightgbm", pump_parts, limited, tmp_path)


def test_a_limit_on_false_alarms_selects_the_threshold_of_a_table(small_pump, tmp_path):
    rows, machine = small_pump.rows, small_pump.params.machine
    threshold = small_pump.params.threshold.model_copy(update={"at_most_false_alarms": 0.5})
    limited = small_pump.params.override(trials=1).model_copy(update={"threshold": threshold})
    table = pd.DataFrame(machine.feature_matrix(rows.train), columns=list(machine.feature_names)).assign(
        **{machine.label_name: rows.train[machine.label_name].to_numpy()},
        group=rows.train["group"].astype(str).to_numpy(),
        fold=rows.fold,
    )
    parts = write_parts(tmp_path / "parts", table, machine.feature_names, machine.label_name)
    found, _ = train_candidate_from_parts("lightgbm", parts, limited, tmp_path, machine_times=lambda: rows.train)
    assert found.threshold == train_candidate("lightgbm", rows.train, rows.fold, limited).threshold
    free, _ = train_candidate_from_parts("lightgbm", parts, small_pump.params.override(trials=1), tmp_path)
    assert found.threshold != free.threshold
