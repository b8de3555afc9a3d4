"""The stages of the training flow in sequence. Imported in the child process only."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from measuring import Measured, measure

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.features import feature_matrix, feature_names, with_features
from predictive_maintenance.machine.sensors import LABEL
from predictive_maintenance.training.estimators import build_estimator
from predictive_maintenance.training.splits import split
from predictive_maintenance.validation.cleaning import clean


def run_stages(file: Path, repeats: int) -> dict[str, Measured]:
    """Time and peak memory of each stage on `file`.

    Only the result of the preceding stage stays in memory. `fit` trains one LightGBM on the training rows, with the fixed
    hyperparameters of params.yaml, without the time to make the feature matrix.
    """
    params = load_params()
    names = feature_names(params.features.published_limit_margins)
    measured: dict[str, Measured] = {}
    measured["ingest"], ingested = measure(repeats, ingest, (Source(uri=str(file)),), params.columns)
    measured["clean"], cleaned = measure(repeats, clean, ingested, params.machine, params.cleaning)
    frame = cleaned.frame
    del ingested, cleaned
    measured["features"], frame = measure(repeats, _features, frame, names)
    measured["split"], rows = measure(repeats, split, frame, params.split, params.training.seed)
    features, labels = feature_matrix(rows.train, names), rows.train[LABEL.name].to_numpy()
    del frame, rows
    fixed = params.candidates["lightgbm"].fixed
    estimator = build_estimator("lightgbm", fixed, params.training.seed, params.training.threads)
    measured["fit"], _ = measure(repeats, estimator.fit, features, labels)
    return measured


def _features(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    feature_matrix(frame, names)
    return with_features(frame)
