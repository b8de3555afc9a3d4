"""A sample of training rows has about as many rows as it should, whatever their groups, and is the same in any parts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.training.row_parts import LEAST_ROWS, RowSample, count_classes, count_rows, read_rows
from tests.fixtures.row_parts import write_parts

ROWS, FOLDS = 70_000, 5
GROUPS = {
    "each row": np.arange(ROWS),
    "50 machines": np.arange(ROWS) % 50,
    "3 machines": np.arange(ROWS) % 3,
    "a machine with nine tenths of the rows": np.where(np.arange(ROWS) % 10, 0, np.arange(ROWS) % 500),
}


def table(groups, name="machine"):
    """Rows of groups with failures in 1.4 % of the rows, which are numbered."""
    return pd.DataFrame(
        {
            "row": np.arange(len(groups)),
            "broken": (np.arange(len(groups)) // 7 % 70 == 0).astype(np.int8),
            "group": [f"{name} {group}" for group in groups],
            "fold": groups % FOLDS,
        }
    )


def parts_by_group(folder, rows, parts, row_group_size=700):
    """The rows in files that each have all rows of some groups, in their order."""
    owner = pd.factorize(rows["group"])[0] % parts
    written = [
        write_parts(folder / str(number), own, ("row",), "broken", 1, row_group_size)
        for number, own in rows.groupby(owner)
    ]
    return replace(written[0], files=tuple(file for one in written for file in one.files))


def chosen(parts, sample):
    return set(read_rows(parts, sample).features[:, 0].astype(int).tolist())


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("name", ["machine", "pump", "Anlage"])
@pytest.mark.parametrize("most", [1000, 20_000])
def test_a_sample_has_about_the_wanted_rows_and_both_labels_in_each_fold(tmp_path, groups, name, most):
    rows = table(groups, name)
    parts = write_parts(tmp_path, rows, ("row",), "broken", 1, 20_000)
    sample = RowSample.of(count_classes(parts), most, "salt")
    found = rows.iloc[sorted(chosen(parts, sample))]
    assert len(found) == count_rows(parts, sample)
    assert abs(len(found) - most) < 4 * np.sqrt(most) + LEAST_ROWS * FOLDS
    assert len(found.groupby(["fold", "broken"])) == len(rows.groupby(["fold", "broken"]))
    sizes = rows["group"].value_counts() * most / ROWS
    assert set(sizes[sizes > 10].index) <= set(found["group"])


def test_a_sample_is_the_same_in_any_parts_and_is_contained_in_a_larger_one(tmp_path):
    rows = table(GROUPS["50 machines"][:6000])
    one = write_parts(tmp_path / "one", rows, ("row",), "broken", 1)
    many = parts_by_group(tmp_path, rows, 4, 300)
    sample, larger = (RowSample.of(count_classes(one), most, "salt") for most in (1000, 1500))
    assert RowSample.of(count_classes(many), 1000, "salt") == sample
    assert chosen(many, sample) == chosen(one, sample)
    assert chosen(one, sample) < chosen(one, larger)
    assert len(chosen(one, sample) ^ chosen(one, replace(sample, salt="other"))) > 1000


def test_a_sample_without_a_fold_has_its_rows_of_the_other_folds(tmp_path):
    parts = write_parts(tmp_path, table(GROUPS["50 machines"][:6000]), ("row",), "broken", 1)
    sample = RowSample.of(count_classes(parts), 1000, "salt")
    found, others = read_rows(parts, sample), read_rows(parts, sample, without=2)
    np.testing.assert_array_equal(others.features, found.features[found.fold != 2])
    assert set(others.fold.tolist()) == {0, 1, 3, 4}


def test_a_sample_keeps_its_rows_when_rows_of_these_and_of_other_groups_are_added(tmp_path):
    rows = table(GROUPS["50 machines"])
    before, after = rows[:6000], rows.assign(group=np.where(rows.index < 12_000, rows["group"], "new " + rows["group"]))
    sample = RowSample.of({(fold, label): 1 for fold in range(FOLDS) for label in (0, 1)}, 2, "salt")
    sample = replace(sample, shares=dict.fromkeys(sample.shares, 0.1))
    former, later = (
        chosen(write_parts(tmp_path / name, each, ("row",), "broken", 1, 5000), sample)
        for name, each in (("before", before), ("after", after))
    )
    assert {row for row in later if row < 6000} == former


def test_all_rows_are_no_sample():
    assert RowSample.of({(0, 0): 900, (1, 1): 100}, 1000, "salt") is None
    few = RowSample.of({(0, 0): 1000, (0, 1): 10, (1, 0): 5000, (-2, 1): 10}, 602, "salt")
    assert few.shares == {(0, 0): 0.1, (0, 1): 2.0, (1, 0): 0.1, (-2, 1): 0.1}
