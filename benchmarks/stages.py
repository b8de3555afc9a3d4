"""The stages of the training flow in sequence. Imported in the child process only."""

from pathlib import Path
from typing import Any

import pandas as pd
from measuring import Measured, measure

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.training.estimators import build_estimator
from predictive_maintenance.training.splits import split
from predictive_maintenance.validation.cleaning import clean


def run_stages(file: Path, repeats: int) -> dict[str, Measured]:
    """Time and peak memory of each stage on `file`.

    Only the result of the preceding stage stays in memory. `fit` trains one LightGBM on the training rows, with the fixed
    hyperparameters of params.yaml, without the time to make the feature matrix.
    """
    params = load_params()
    machine = params.machine
    measured: dict[str, Measured] = {}
    measured["ingest"], ingested = measure(repeats, ingest, (Source(uri=str(file)),), machine)
    measured["clean"], cleaned = measure(repeats, clean, ingested, machine, params.cleaning)
    frame = cleaned.frame
    del ingested, cleaned
    measured["features"], frame = measure(repeats, _features, frame, machine)
    measured["split"], rows = measure(repeats, split, frame, machine, params.split, params.training.seed)
    features, labels = machine.feature_matrix(rows.train), rows.train[machine.label_name].to_numpy()
    del frame, rows
    fixed = params.candidates["lightgbm"].fixed
    estimator = build_estimator("lightgbm", fixed, params.training.seed, params.training.threads)
    measured["fit"], _ = measure(repeats, estimator.fit, features, labels)
    return measured


def _features(frame: pd.DataFrame, machine: Machine) -> Any:
    machine.feature_matrix(frame)
    return machine.with_features(frame)
