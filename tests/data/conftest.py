"""What the tests of the data room share: one small data set in AI4I's own spelling, ways to write it, a quick scorer."""

import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from predictive_maintenance.config import Params, Source, parse_params
from predictive_maintenance.data.merging import Ingested
from predictive_maintenance.data.simulator import simulate
from predictive_maintenance.data.sources import ingest
from predictive_maintenance.data.splits import split
from predictive_maintenance.errors import SourceError
from predictive_maintenance.models.export import export_model
from predictive_maintenance.models.training import train_untuned
from predictive_maintenance.scoring import Scorer

HEADERS = (
    "UDI", "Product ID", "Type", "Air temperature [K]", "Process temperature [K]", "Rotational speed [rpm]",
    "Torque [Nm]", "Tool wear [min]", "Machine failure",
)  # fmt: skip
ROWS = (
    ("1", "M14860", "M", "298.1", "308.6", "1551", "42.8", "0", "0"),
    ("2", "L47181", "L", "298.2", "308.7", "1408", "46.3", "3", "0"),
    ("3", "L47182", "L", "298.1", "308.5", "1498", "49.4", "5", "0"),
    ("4", "H29424", "H", "298.9", "309.1", "2861", "4.6", "143", "1"),
)


def text_of(
    rows: Sequence[Sequence[str]] = ROWS, headers: Sequence[str] = HEADERS, separator: str = ",", decimal: str = "."
) -> str:
    lines = [headers, *([cell.replace(".", decimal) for cell in row] for row in rows)]
    return "".join(separator.join(line) + "\n" for line in lines)


@pytest.fixture
def csv_text() -> Callable[..., str]:
    """The small data set as CSV text: other rows, headers, separator or decimal mark as asked."""
    return text_of


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes text or bytes to a file of the test's own; the small data set when nothing is given."""

    def write_file(content: str | bytes | None = None, name: str = "readings.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text_of() if content is None else content
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def pull(params: Params) -> Callable[..., Ingested]:
    """Ingests sources given as paths or URIs, `join:` before one that joins."""

    def pull_all(*uris: object) -> Ingested:
        return ingest(tuple(Source.parse(str(uri)) for uri in uris), params.columns)

    return pull_all


@pytest.fixture
def refusal(pull: Callable[..., Ingested]) -> Callable[..., str]:
    """What is told when sources cannot be ingested."""

    def refuse(*uris: object) -> str:
        with pytest.raises(SourceError) as refused:
            pull(*uris)
        return str(refused.value)

    return refuse


@pytest.fixture
def with_cell() -> Callable[..., list[tuple[str, ...]]]:
    """The small data set's rows with some cells replaced: (row from 1, header) -> text."""

    def replace(cells: dict[tuple[int, str], str]) -> list[tuple[str, ...]]:
        return [
            tuple(cells.get((number, header), cell) for header, cell in zip(HEADERS, row, strict=True))
            for number, row in enumerate(ROWS, start=1)
        ]

    return replace


@pytest.fixture(scope="session")
def simulated() -> pd.DataFrame:
    """2000 simulated readings with the columns that ingestion adds."""
    return simulate(2000, seed=3).assign(source_index=0, source="simulator", row=range(1, 2001))


@pytest.fixture(scope="session")
def quick_scorer(params: Params, simulated: pd.DataFrame) -> Scorer:
    """LightGBM of 20 trees, exported and loaded again."""
    raw = params.model_dump(mode="json")
    raw["candidates"] = {"lightgbm": raw["candidates"]["lightgbm"] | {"fixed": {"n_estimators": 20}}}
    raw["split"] |= {"folds": 2, "test_share": 0.4}
    quick = parse_params(raw, "the tests")
    rows = split(simulated, quick.split, quick.training.seed)
    trained = train_untuned("lightgbm", rows.train, rows.fold, quick)
    return Scorer.from_files(export_model(trained, rows.train, rows.test, quick))


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, bytes]]]:
    """(base URL, contents by path) of a web server on this machine: 404 for what is not there."""
    contents: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = contents.get(self.path.partition("?")[0])
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *parts: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", contents
        server.shutdown()
        thread.join()
