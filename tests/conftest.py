"""What several tests share: the real data set, a small trained model, an empty registry that is ready at once."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from predictive_maintenance.config.params import Params
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.evaluation.metrics import Scores
from predictive_maintenance.evaluation.row_sets import out_of_fold_scores
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.features import with_features
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.training.candidate import TrainedCandidate, train_untuned
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.splits import SplitRows, split
from predictive_maintenance.validation.cleaning import clean
from tests.paths import REPOSITORY

pytest_plugins = ("tests.fixtures.readings",)

AI4I = Path(os.environ.get("PDM_AI4I_CSV", REPOSITORY.parent / "shared" / "data" / "ai4i2020.csv"))


@dataclass(frozen=True, kw_only=True)
class Small:
    """A model good enough to be promoted, trained in a second or two on simulated readings."""

    params: Params
    rows: SplitRows
    trained: TrainedCandidate
    out_of_fold: Scores
    files: dict[str, bytes]
    scorer: Scorer


@pytest.fixture(scope="session")
def ai4i_csv() -> Path:
    """The real data set. A skip is a failure where PDM_REQUIRE_AI4I is set, as in CI."""
    if not AI4I.is_file():
        message = f"the AI4I 2020 data set is not at {AI4I}: set PDM_AI4I_CSV"
        pytest.fail(message) if os.environ.get("PDM_REQUIRE_AI4I") else pytest.skip(message)
    return AI4I


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params()


@pytest.fixture(scope="session")
def read_rows(params: Params) -> Callable[[str], pd.DataFrame]:
    """Clean rows of a source, by URI."""

    def read(uri: str) -> pd.DataFrame:
        return clean(ingest((Source(uri=uri),), params.columns), params.columns.limits, params.cleaning).frame

    return read


@pytest.fixture(scope="session")
def small(params: Params, read_rows: Callable[[str], pd.DataFrame]) -> Small:
    rows = split(with_features(read_rows("simulator://?rows=8000&seed=3")), params.split, params.training.seed)
    trained = train_untuned("lightgbm", rows.train, rows.fold, params)
    files = export_model(trained, rows.train, rows.test, params)
    return Small(
        params=params,
        rows=rows,
        trained=trained,
        out_of_fold=out_of_fold_scores(trained, rows, params),
        files=files,
        scorer=Scorer.from_files(files),
    )


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with all its tables: making one takes seconds, copying one does not."""
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy import create_engine

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    engine = create_engine(f"sqlite:///{path}")
    _initialize_tables(engine)
    engine.dispose()
    return path


@pytest.fixture
def registry_uri(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry of the test's own, in a folder with spaces in its name, as MLFLOW_TRACKING_URI."""
    folder = tmp_path / "a registry"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    """Where moto's server answers for all of AWS."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
