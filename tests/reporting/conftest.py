"""Finished runs: of a first model, of a model with an equal champion, and of a rejected model."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.evaluation.gate import judge
from predictive_maintenance.ingestion.merging import Ingested, SourceRecord
from predictive_maintenance.machine.names import READING_ID
from predictive_maintenance.scorer.version_files import TRAINING_ROWS_FILE
from predictive_maintenance.tracking.promotion import Outcome
from predictive_maintenance.training.splits import SplitRows
from predictive_maintenance.validation.cleaning import Cleaned
from predictive_maintenance.validation.row_identity import row_hashes
from tests.fixtures.evaluations import compare

QUARANTINE = pd.DataFrame(
    [["a|b.csv", 3, "r3", "torque_nm", "x", "is not a number, @team <b>"]],
    columns=["source", "row", "reading_id", "column", "value", "reason"],
)


class LoadedRows(SplitRows):
    """The rows of a run in memory, with what is read of the parts of a real one."""

    def training_ids(self):
        return np.sort(row_hashes(self.fitted[READING_ID]))


def finished_run(small, evaluation):
    """The artifacts of a run's last step, with Markdown in the texts that come from data."""
    level, frame = evaluation.verdict.level, small.rows.train
    return SimpleNamespace(
        evaluation=evaluation,
        outcome=Outcome(
            level=level,
            allowed=level,
            version="2" if level else None,
            previous=None,
            summary=f"the lightgbm {evaluation.verdict.summary()}",
            headline="recall 0.8",
            uri="",
        ),
        flow_run="TrainFlow/17",
        commit="c0ffee",
        mlflow_run_id="abc",
        params=small.params,
        candidate_scores={"lightgbm": small.out_of_fold},
        ingested=Ingested(
            frame=pd.concat([frame, frame.head(1).assign(torque_nm=np.nan)], ignore_index=True),
            faults=pd.DataFrame(),
            quarantined=pd.DataFrame(),
            records=(),
        ),
        cleaned=Cleaned(
            frame=frame,
            quarantine=QUARANTINE,
            ingested_rows=len(frame) + 1,
            quarantined_rows=1,
            collapsed_duplicates=0,
        ),
        records=(
            SourceRecord(
                name="a|b.csv",
                merge="append",
                rows=len(frame) + 1,
                sha256="f" * 64,
                bytes=10,
                dvc_md5=None,
                ignored_columns=(),
            ),
        ),
        rows=LoadedRows(**vars(small.rows)),
        trained=small.trained,
        files={name: content for name, content in small.files.items() if name != TRAINING_ROWS_FILE},
    )


@pytest.fixture(scope="session")
def runs(small, evaluate_small):
    params, test = small.params, small.rows.test
    fingerprint = training_fingerprint(small.rows.train, params.machine)
    champion = BaselineModel(
        version="1",
        scorer=small.scorer,
        training_rows=np.array([], dtype=np.uint64),
        training_fingerprint=f"other than {fingerprint}",
    )
    probabilities = small.scorer.probabilities(test)
    comparison = compare(champion, test, probabilities, small.scorer.decisions(probabilities), fingerprint, params)
    strict_gate = params.gate.model_copy(update={"min_recall": 0.999})

    first = evaluate_small(params=params)

    def judged(comparison, gate):
        return replace(
            first,
            comparison=comparison,
            verdict=judge(
                first.held_out,
                first.out_of_fold,
                first.agreement,
                comparison,
                gate,
                params.evaluation.min_assessable_failures,
            ),
        )

    return {
        "first": finished_run(small, first),
        "second": finished_run(small, judged(comparison, params.gate)),
        "rejected": finished_run(small, judged(None, strict_gate)),
    }


@pytest.fixture
def run(runs):
    """A copy of the first model's run, for a test to change."""
    return SimpleNamespace(**vars(runs["first"]))
