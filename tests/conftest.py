"""Shared fixtures: the AI4I data set, a small trained model, an empty registry and a moto server."""

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from predictive_maintenance.config.params import Params
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.evaluate import Evaluation
from predictive_maintenance.evaluation.event_evaluation import EventEvaluation
from predictive_maintenance.evaluation.metrics import Scores
from predictive_maintenance.evaluation.row_sets import out_of_fold_scores
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.training.candidate import TrainedCandidate, train_untuned
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.labelling import label, labelled_rows
from predictive_maintenance.training.splits import SplitRows, split
from predictive_maintenance.validation.cleaning import clean
from tests.fixtures.compressor_readings import compressor_readings
from tests.fixtures.evaluations import evaluated, events_of
from tests.fixtures.pumps import pump, pump_tables, pump_without_windows
from tests.fixtures.run_to_failure import engine, engine_without_value, runs_to_failure
from tests.paths import PARAMS_FILE, REPOSITORY
from tests.shared_folders import shared_folder

pytest_plugins = (
    "tests.fixtures.brokers",
    "tests.fixtures.described_machines",
    "tests.fixtures.disks",
    "tests.fixtures.dvc_projects",
    "tests.fixtures.readings",
    "tests.fixtures.silent_proxies",
    "tests.fixtures.storage_servers",
    "tests.fixtures.storage_clusters",  # uses storage_servers, which pytest has to import
    "tests.fixtures.stores",
)

AI4I = Path(os.environ.get("PDM_AI4I_CSV", REPOSITORY / "data" / "raw" / "ai4i2020.csv"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first, so that the workers of pytest-xdist, which take whole files, finish together."""
    marks = ("flow", "environment", "containers", "browser")
    slow = {item.path for item in items if any(item.get_closest_marker(name) for name in marks)}
    items.sort(key=lambda item: item.path not in slow)


@dataclass(frozen=True, kw_only=True)
class Small:
    """A model that passes the quality gate, trained in a few seconds on simulated readings."""

    params: Params
    rows: SplitRows
    trained: TrainedCandidate
    out_of_fold: Scores
    files: dict[str, bytes]
    scorer: Scorer


@pytest.fixture(scope="session")
def ai4i_csv() -> Path:
    """The AI4I 2020 data set. The test is skipped without it; it fails if PDM_REQUIRE_AI4I is set, as in CI."""
    if not AI4I.is_file():
        message = f"{AI4I}: the AI4I 2020 data set is not there: set PDM_AI4I_CSV to its path"
        pytest.fail(message) if os.environ.get("PDM_REQUIRE_AI4I") else pytest.skip(message)
    return AI4I


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params()


@pytest.fixture(scope="session")
def both_candidates_params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A params.yaml for a run of both candidates with two trials each and a small forest."""
    raw = yaml.safe_load(PARAMS_FILE.read_text())
    for candidate in raw["candidates"].values():
        candidate["trials"] = 2
    raw["candidates"]["random_forest"]["fixed"]["n_estimators"] = 20
    raw["evaluation"]["bootstrap_samples"] = 200
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture(scope="session")
def quick_params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A params.yaml for the fastest run that ends in production: one candidate, one trial, few bootstrap samples."""
    raw = yaml.safe_load(PARAMS_FILE.read_text())
    raw["data"]["sources"] = [{"uri": "simulator://?rows=6000&seed=3"}]
    raw["candidates"] = {"lightgbm": raw["candidates"]["lightgbm"] | {"trials": 1}}
    raw["evaluation"]["bootstrap_samples"] = 100
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture(scope="session")
def read_rows(params: Params) -> Callable[[str], pd.DataFrame]:
    """Return the clean rows of the source with the given URI."""

    def read(uri: str) -> pd.DataFrame:
        return clean(ingest((Source(uri=uri),), params.machine), params.machine, params.cleaning).frame

    return read


@pytest.fixture(scope="session")
def small(params: Params, read_rows: Callable[[str], pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A LightGBM on 8,000 simulated readings, trained once for all workers."""

    def train(folder: Path) -> None:
        _train("lightgbm", _split(read_rows("simulator://?rows=8000&seed=3"), params), params, folder)

    return _load(shared_folder(tmp_path_factory, "small model", train), params)


@pytest.fixture(scope="session")
def evaluate_small(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Evaluation]:
    """Evaluate the small model as the flow does, against a champion or None.

    The two slow parts that do not depend on the champion, a further training and the importances, are computed once for
    all workers. Intervals come from 100 bootstrap samples, unless `params` says otherwise.
    """
    evaluation = small.params.evaluation.model_copy(update={"bootstrap_samples": 100})
    quick = small.params.model_copy(update={"evaluation": evaluation})

    def first_evaluation(folder: Path) -> None:
        first = evaluated(small)
        (folder / "evaluation.pickle").write_bytes(pickle.dumps(first))

    folder = shared_folder(tmp_path_factory, "small model's evaluation", first_evaluation)
    first = pickle.loads((folder / "evaluation.pickle").read_bytes())

    def evaluate_again(champion: BaselineModel | None = None, params: Params = quick) -> Evaluation:
        with pytest.MonkeyPatch.context() as patch:
            module = "predictive_maintenance.evaluation.evaluate"
            patch.setattr(f"{module}.forward_scores", lambda *_: (first.forward, first.forward_note))
            patch.setattr(f"{module}.permutation_importances", lambda *_: first.importances)
            return evaluated(small, champion, params)

    return evaluate_again


@pytest.fixture(scope="session")
def small_forest(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A random forest on the same rows as `small`, trained once for all workers."""

    def train(folder: Path) -> None:
        _train("random_forest", small.rows, small.params, folder)

    return _load(shared_folder(tmp_path_factory, "small forest", train), small.params)


@pytest.fixture(scope="session")
def small_models(small: Small, small_forest: Small) -> dict[str, Small]:
    """Both small models by algorithm."""
    return {"lightgbm": small, "random_forest": small_forest}


@pytest.fixture(scope="session")
def compressor_params(params: Params, machines: dict[str, Machine]) -> Params:
    return params.override(machine=to_plain(machines["compressor"]))


@pytest.fixture(scope="session")
def compressor_csv(machines: dict[str, Machine], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled readings of a machine that has nothing in common with milling."""
    path = tmp_path_factory.mktemp("compressor") / "readings.csv"
    compressor_readings(machines["compressor"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def small_compressor(
    compressor_params: Params, compressor_csv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Small:
    """A LightGBM of the compressor, trained once for all workers."""

    def train(folder: Path) -> None:
        ingested = ingest((Source(uri=str(compressor_csv)),), compressor_params.machine)
        cleaned = clean(ingested, compressor_params.machine, compressor_params.cleaning).frame
        _train("lightgbm", _split(cleaned, compressor_params), compressor_params, folder)

    return _load(shared_folder(tmp_path_factory, "small compressor", train), compressor_params)


@pytest.fixture(scope="session")
def small_compressor_forest(small_compressor: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A random forest on the same rows as `small_compressor`, trained once for all workers."""

    def train(folder: Path) -> None:
        _train("random_forest", small_compressor.rows, small_compressor.params, folder)

    return _load(shared_folder(tmp_path_factory, "small compressor forest", train), small_compressor.params)


@pytest.fixture(scope="session")
def cmapss() -> Path:
    """The folder of C-MAPSS. The test is skipped without it; it fails if PDM_REQUIRE_CMAPSS is set, as in CI."""
    folder = Path(os.environ.get("PDM_CMAPSS_DIR", REPOSITORY / "data" / "raw"))
    if not (folder / "train_FD001.txt").is_file():
        message = f"{folder}: C-MAPSS FD001 is not there: set PDM_CMAPSS_DIR to its folder"
        pytest.fail(message) if os.environ.get("PDM_REQUIRE_CMAPSS") else pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def engine_params(params: Params) -> Params:
    return params.override(machine=to_plain(engine()))


@pytest.fixture(scope="session")
def engine_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Readings of engines that run until they fail, in no order."""
    path = tmp_path_factory.mktemp("engines") / "readings.csv"
    runs_to_failure().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def small_engine(engine_params: Params, engine_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A LightGBM of a machine with history, trained once for all workers."""

    def train(folder: Path) -> None:
        _train_over_time((Source(uri=str(engine_csv)),), engine_params, folder)

    return _load(shared_folder(tmp_path_factory, "small engine", train), engine_params)


@pytest.fixture(scope="session")
def engine_events(small_engine: Small) -> EventEvaluation:
    """The evaluation by failure event of the model of a machine with history."""
    events = events_of(small_engine)
    assert events is not None
    return events


@pytest.fixture(scope="session")
def small_engine_without_value(params: Params, engine_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A LightGBM of a machine with history and a formula that has no value at the first reading of each engine."""
    own = params.override(machine=to_plain(engine_without_value()))

    def train(folder: Path) -> None:
        _train_over_time((Source(uri=str(engine_csv)),), own, folder)

    return _load(shared_folder(tmp_path_factory, "small engine without value", train), own)


@pytest.fixture(scope="session")
def pump_params(params: Params) -> Params:
    """Settings of the pumps, whose few weeks are too short for a split by time."""
    own = params.override(machine=to_plain(pump()))
    return own.model_copy(update={"split": own.split.model_copy(update={"by": "group"})})


@pytest.fixture(scope="session")
def pump_sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, ...]:
    """The tables of pumps with errors, maintenance, failures and attributes, as CSV files."""
    folder = tmp_path_factory.mktemp("pumps")
    for name, table in pump_tables().items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return tuple(Source(uri=str(folder / f"{name}.csv"), table=name) for name in pump_tables(1, 40))


@pytest.fixture(scope="session")
def small_pump(
    pump_params: Params, pump_sources: tuple[Source, ...], tmp_path_factory: pytest.TempPathFactory
) -> Small:
    """A LightGBM of a machine with tables of events, trained once for all workers."""

    def train(folder: Path) -> None:
        _train_over_time(pump_sources, pump_params, folder)

    return _load(shared_folder(tmp_path_factory, "small pump", train), pump_params)


@pytest.fixture(scope="session")
def events_pump_params(pump_params: Params) -> Params:
    """Settings of the pumps whose only features from the past are of events."""
    return pump_params.override(machine=to_plain(pump_without_windows()))


@pytest.fixture(scope="session")
def small_events_pump(
    events_pump_params: Params, pump_sources: tuple[Source, ...], tmp_path_factory: pytest.TempPathFactory
) -> Small:
    """A LightGBM of a machine with features of events, and none of earlier readings, trained once for all workers."""

    def train(folder: Path) -> None:
        _train_over_time(pump_sources, events_pump_params, folder)

    return _load(shared_folder(tmp_path_factory, "small pump of events", train), events_pump_params)


def _train_over_time(sources: tuple[Source, ...], params: Params, folder: Path) -> None:
    machine, ingested = params.machine, ingest(sources, params.machine)
    cleaned = clean(ingested, machine, params.cleaning, ingested.events)
    events = cleaned.event_frames()
    labelled = labelled_rows(cleaned.frame, label(cleaned.frame, machine, events), machine, events)
    rows = split(labelled.frame, machine, params.split, params.training.seed, labelled.unlabelled, events)
    _train("lightgbm", rows, params, folder)


def _split(frame: pd.DataFrame, params: Params) -> SplitRows:
    return split(params.machine.with_features(frame), params.machine, params.split, params.training.seed)


def _train(algorithm: str, rows: SplitRows, params: Params, folder: Path) -> None:
    trained = train_untuned(algorithm, rows.train, rows.fold, params)
    files = export_model(trained, rows, params)
    out_of_fold = out_of_fold_scores(trained, rows.train, params)
    parts = {"rows": rows, "trained": trained, "out_of_fold": out_of_fold, "files": files}
    (folder / "parts.pickle").write_bytes(pickle.dumps(parts))


def _load(folder: Path, params: Params) -> Small:
    parts = pickle.loads((folder / "parts.pickle").read_bytes())
    return Small(params=params, scorer=Scorer.from_files(parts["files"]), **parts)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with all its tables and no entries, for tests to copy: creating one takes seconds."""

    def create(folder: Path) -> None:
        from mlflow.store.db.utils import _initialize_tables
        from sqlalchemy import create_engine

        engine = create_engine(f"sqlite:///{folder / 'mlflow.db'}")
        _initialize_tables(engine)
        engine.dispose()

    return shared_folder(tmp_path_factory, "empty database", create) / "mlflow.db"


@pytest.fixture
def registry_uri(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty registry for one test, in a folder with a space in its name; MLFLOW_TRACKING_URI is set to its URI."""
    folder = tmp_path / "a registry"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    """The URL of a moto server, which stands in for all AWS services."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
