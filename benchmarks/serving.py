"""Throughput, latency and memory of the API, compared with `mlflow models serve` and with a route that does not score.

    python benchmarks/serving.py            takes about nine minutes; --quick takes one round of a second each

Servers are single processes on one machine, loaded in turns by wrk with one thread, which takes one of two cores.
Each figure is the median of the rounds. The registry is an MLflow server. The API is compared with:

- mlflow: `mlflow models serve` of the same estimator in MLflow's own flavour, with a signature by `infer_signature`. Its
  requests are data frames of engineered features (`dataframe_split`), as MLflow's documentation shows.
- mlflow with our version: the same with the registered version, whose requests are raw columns.
- floor: a route of the same application as in FastAPI's documentation, which validates a reading and returns a constant.
- fast-path floor: the same on the fast path of /predict. The difference to /predict is the cost of scoring.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from measuring import describe_machine, in_child, markdown_table, measure
from servers import PROJECT, Server, check_wrk, load, serving

if TYPE_CHECKING:
    from predictive_maintenance.config.params import Algorithm

ALGORITHMS: "tuple[Algorithm, ...]" = ("lightgbm", "random_forest")
CLIENTS = (1, 16, 64)
BATCH_ROWS, TABLE_ROWS = 1_000, 10_000


@dataclass(frozen=True)
class Goal:
    """One line of the result. `met` is None for a measurement without a goal."""

    measurement: str
    measured: str
    goal: str = "reported"
    met: bool | None = None

    def row(self) -> tuple[str, str, str, str]:
        return self.measurement, self.measured, self.goal, {True: "met", False: "MISSED", None: ""}[self.met]


@dataclass(frozen=True)
class Bench:
    """The benchmark's folder (request bodies, models, environment), and the number and length of its rounds."""

    folder: Path
    rounds: int
    seconds: int

    @property
    def python(self) -> str:
        """Python of an environment with requirements-serve.txt, as deployed with a registry server."""
        return str(self.folder / "environment" / "bin" / "python")

    @property
    def service(self) -> list[str]:
        return [self.python, "-m", "app", "--port", "{port}"]

    @property
    def with_floor(self) -> list[str]:
        """The API's server with the API and two more routes."""
        start = "serve(read_settings(), '127.0.0.1', {port}, 1, 'floor:app')"
        code = f"from app.server import serve; from app.settings import read_settings; {start}"
        return [self.python, "-c", code]

    def body(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def rates(self, targets: dict[str, tuple[str, Path]], clients: int) -> dict[str, float]:
        """Median requests per second of each target, by name. Each round loads every target (URL, body) in turn."""
        rates: dict[str, list[float]] = {name: [] for name in targets}
        for _ in range(self.rounds):
            for name, (url, body) in targets.items():
                rates[name].append(load(url, body, clients, self.seconds).per_second)
        return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    arguments = _arguments()
    check_wrk()
    goals: list[Goal] = []
    with tempfile.TemporaryDirectory(prefix="serving-benchmark-") as name, ExitStack() as stack:
        bench = Bench(Path(name), 1 if arguments.quick else 5, 1 if arguments.quick else 2)
        _log_progress("creating the environment of the API")
        make_environment(bench)
        _log_progress("training models and writing request bodies")
        in_child(prepare, bench.folder)
        registry = stack.enter_context(_registry(bench.folder))
        os.environ |= {"MLFLOW_TRACKING_URI": registry.url, "PDM_MODEL_CACHE": str(bench.folder / "model cache")}
        os.environ["PDM_STORE_URL"] = f"sqlite:///{bench.folder / 'store.db'}"  # the API logs its predictions
        os.environ["PYTHONPATH"] = f"{PROJECT}{os.pathsep}{PROJECT / 'benchmarks'}"  # app and floor
        for algorithm in ALGORITHMS:
            in_child(promote, bench.folder, algorithm)
            goals += compare(bench, algorithm)
            if algorithm == "lightgbm":
                goals += [*tables(bench), *prediction_log(bench), *explanations(bench)]
                goals += [*start_and_memory(bench), *two_workers(bench)]
    print(f"{describe_machine()}, load average {os.getloadavg()[0]:.1f} at the end\n")
    print(markdown_table(("measurement", "measured", "goal", ""), [goal.row() for goal in goals]))


def compare(bench: Bench, algorithm: str) -> Iterator[Goal]:
    """Requests per second, compared with the other servers."""
    ready, one = bench.body("one").read_bytes(), bench.body("one")
    with ExitStack() as stack:
        _log_progress(f"{algorithm}: starting the servers")
        api = stack.enter_context(serving(bench.with_floor, "/predict", ready)).url
        flavour = stack.enter_context(
            _mlflow_serve(bench, str(bench.folder / f"{algorithm}-flavour"), "flavour-one")
        ).url
        version = stack.enter_context(_mlflow_serve(bench, "models:/predictive_maintenance@production", "raw-one")).url
        for clients in CLIENTS:
            _log_progress(f"{algorithm}: {clients} clients")
            targets = {
                "api": (f"{api}/predict", one),
                "floor": (f"{api}/floor", one),
                "fast-path floor": (f"{api}/fast-path-floor", one),
                "flavour": (f"{flavour}/invocations", bench.body("flavour-one")),
            }
            if clients == 1:
                targets["version"] = (f"{version}/invocations", bench.body("raw-one"))
            rates = bench.rates(targets, clients)
            name = f"{algorithm}, one reading, {clients} clients"
            share = rates["api"] / rates["floor"]
            yield Goal(f"{name}: share of the floor ({rates['floor']:,.0f}/s)", f"{share:.2f}", ">= 0.70", share >= 0.7)
            yield Goal(f"{name}: share of the fast-path floor", f"{rates['api'] / rates['fast-path floor']:.2f}")
            ratio = rates["api"] / rates["flavour"]
            measured = f"{ratio:.1f} x ({rates['api']:,.0f}/s and {rates['flavour']:,.0f}/s)"
            has_goal = algorithm == "lightgbm"
            yield Goal(
                f"{name}: compared with mlflow",
                measured,
                ">= 20 x" if has_goal else "reported",
                ratio >= 20 if has_goal else None,
            )
            if clients == 1:
                yield Goal(f"{name}: compared with mlflow with our version", f"{rates['api'] / rates['version']:.1f} x")
        _log_progress(f"{algorithm}: {BATCH_ROWS:,} records")
        rates = bench.rates(
            {
                "api": (f"{api}/predict/batch", bench.body("records")),
                "flavour": (f"{flavour}/invocations", bench.body("flavour-records")),
            },
            1,
        )
        ratio, minimum = rates["api"] / rates["flavour"], 4.5 if algorithm == "lightgbm" else 5
        measured = f"{ratio:.1f} x ({rates['api']:.1f}/s and {rates['flavour']:.1f}/s)"
        yield Goal(
            f"{algorithm}, {BATCH_ROWS:,} records per request: compared with mlflow",
            measured,
            f">= {minimum:g} x",
            ratio >= minimum,
        )


def tables(bench: Bench) -> Iterator[Goal]:
    """Rows per second of large request bodies, compared with the scorer alone."""
    _log_progress("tables")
    alone = in_child(score_alone, bench.folder)
    with serving(bench.service, "/predict", bench.body("one").read_bytes()) as server:
        for media_type, file in (
            ("application/json", "columns.json"),
            ("application/vnd.apache.arrow.stream", "table.arrow"),
        ):
            body = (bench.folder / file).read_bytes()
            seconds = _median_seconds(f"{server.url}/predict/batch", body, media_type, 3 * bench.rounds)
            rate = TABLE_ROWS / seconds
            measured = f"{rate:,.0f} rows/s, {rate / alone:.2f} of the scorer's {alone:,.0f}"
            yield Goal(f"lightgbm, {TABLE_ROWS:,} rows as {file.partition('.')[2]}", measured)


def prediction_log(bench: Bench) -> Iterator[Goal]:
    """Processor time and requests per second with the log of predictions, compared with a server without it."""
    _log_progress("log of predictions")
    ready = bench.body("one").read_bytes()
    sent = {
        "one reading, 1 client": ("/predict", "one", 1),
        "one reading, 64 clients": ("/predict", "one", 64),
        f"{BATCH_ROWS:,} records": ("/predict/batch", "records", 1),
        f"{TABLE_ROWS:,} rows as columns": ("/predict/batch", "columns", 1),
    }
    with (
        serving(bench.service, "/predict", ready, PDM_PREDICTION_LOG="true") as on,
        serving(bench.service, "/predict", ready, PDM_PREDICTION_LOG="false") as off,
    ):
        for name, (path, body, clients) in sent.items():
            found: dict[int, list[tuple[float, float]]] = {on.pid: [], off.pid: []}
            for _ in range(bench.rounds):
                for server in (on, off):
                    before = server.cpu_seconds()
                    loaded = load(server.url + path, bench.body(body), clients, bench.seconds)
                    cpu_ms = (server.cpu_seconds() - before) / loaded.requests * 1e3
                    found[server.pid].append((cpu_ms, loaded.per_second))
            (on_ms, on_rate), (off_ms, off_rate) = (
                [statistics.median(values) for values in zip(*found[server.pid], strict=True)] for server in (on, off)
            )
            ratio = on_ms / off_ms
            yield Goal(
                f"lightgbm, {name}: processor time with the log of predictions, compared with none",
                f"{ratio:.2f} x ({on_ms:.2f} and {off_ms:.2f} ms; {on_rate:,.0f}/s and {off_rate:,.0f}/s)",
                "<= 1.25 x",
                ratio <= 1.25,
            )
        dropped, written = (_metric(on, f"pdm_predictions_{name}_total") for name in ("not_logged", "logged"))
        yield Goal("log of predictions: lost", f"{dropped:,.0f} of {dropped + written:,.0f}", "0", dropped == 0)
        yield Goal(
            "resident memory with the log of predictions and without, with the process for batches",
            f"{on.resident_mib()[0]:.0f} and {off.resident_mib()[0]:.0f} MiB",
        )


def explanations(bench: Bench) -> Iterator[Goal]:
    """Latency of an explanation, and of plain predictions while explanations are computed."""
    _log_progress("explanations")
    one = bench.body("one")
    with serving(bench.service, "/predict", one.read_bytes()) as server:
        plain, explained = f"{server.url}/predict", f"{server.url}/predict?explain=true"
        median = statistics.median(load(explained, one, 1, bench.seconds).median_ms for _ in range(bench.rounds))
        yield Goal("lightgbm, explain=true: median", f"{median:.1f} ms", "< 15 ms", median < 15)
        alone_ms = statistics.median(load(plain, one, 1, bench.seconds).median_ms for _ in range(bench.rounds))
        during_ms = []
        for _ in range(bench.rounds):
            explaining = threading.Thread(target=load, args=(explained, one, 1, bench.seconds + 1))
            explaining.start()
            during_ms.append(load(plain, one, 1, bench.seconds).median_ms)
            explaining.join()
        yield Goal(
            "lightgbm, without explanation: median",
            f"{alone_ms:.2f} ms, {statistics.median(during_ms):.2f} ms during explanations",
        )


def start_and_memory(bench: Bench) -> Iterator[Goal]:
    """Time from the start of the process to the first response, and memory after it."""
    _log_progress("start and memory")
    one, flavour = bench.body("one"), str(bench.folder / "lightgbm-flavour")
    starts: dict[str, list[float]] = {"api": [], "mlflow": []}
    for _ in range(bench.rounds):
        with serving(bench.service, "/predict", one.read_bytes()) as server:
            starts["api"].append(server.started_s)
            first_mib, _ = server.resident_mib()
            load(f"{server.url}/predict", one, 16, 1)
            loaded_mib, _ = server.resident_mib()
            httpx.post(
                f"{server.url}/predict/batch", content=(bench.folder / "columns.json").read_bytes()
            ).raise_for_status()
            table_mib, _ = server.resident_mib()
        with _mlflow_serve(bench, flavour, "flavour-one") as mlflow:
            starts["mlflow"].append(mlflow.started_s)
            mlflow_mib, worker_mib = mlflow.resident_mib()
    api_s, mlflow_s = (statistics.median(starts[name]) for name in ("api", "mlflow"))
    yield Goal("start to first response, model on disk", f"{api_s:.2f} s", "< 2 s", api_s < 2)
    yield Goal(
        "start to first response: compared with mlflow",
        f"{api_s / mlflow_s:.2f} of {mlflow_s:.1f} s",
        "<= 0.25",
        api_s <= mlflow_s / 4,
    )
    measured = (
        f"{loaded_mib:.0f} MiB ({first_mib:.0f} after the first request, {table_mib:.0f} after {TABLE_ROWS:,} rows)"
    )
    yield Goal("resident memory, registry over HTTP", measured, "< 200 MiB", loaded_mib < 200)
    measured = f"{loaded_mib / mlflow_mib:.2f} of {mlflow_mib:.0f} MiB (its worker alone {worker_mib:.0f})"
    yield Goal(
        "resident memory: compared with mlflow, all its processes", measured, "<= 0.40", loaded_mib <= 0.4 * mlflow_mib
    )


def two_workers(bench: Bench) -> Iterator[Goal]:
    """Throughput of two workers, and whether the metrics of both are summed."""
    _log_progress("two workers")
    one = bench.body("one")
    with serving(bench.service, "/predict", one.read_bytes()) as server:
        single = statistics.median(
            load(f"{server.url}/predict", one, 64, bench.seconds).per_second for _ in range(bench.rounds)
        )
    with serving([*bench.service, "--workers", "2"], "/predict", one.read_bytes()) as server:
        before = _counted_requests(server)
        loads = [load(f"{server.url}/predict", one, 64, bench.seconds) for _ in range(bench.rounds)]
        double = statistics.median(one_load.per_second for one_load in loads)
        counted, responses = _counted_requests(server) - before, sum(one_load.requests for one_load in loads)
    yield Goal(
        "two workers, 64 clients",
        f"{double / single:.2f} x of one worker ({double:,.0f}/s); wrk takes one of the cores",
    )
    in_flight = 64 * bench.rounds  # requests whose responses wrk did not wait for at the end of a round
    measured = f"{counted:,.0f} counted, {responses:,} responses"
    yield Goal(
        "two workers: metrics are summed",
        measured,
        "equal up to requests in flight",
        0 <= counted - responses <= in_flight,
    )


def make_environment(bench: Bench) -> None:
    """Create an environment with the serving requirements only."""
    venv.create(bench.folder / "environment", with_pip=True)
    requirements = str(PROJECT / "requirements-serve.txt")
    install = [
        bench.python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        requirements,
    ]
    subprocess.run(install, check=True)


def prepare(folder: Path) -> None:
    """Write both models as model files and in MLflow's own flavours, and the request bodies."""
    import mlflow
    import pandas as pd
    import pyarrow as pa
    from mlflow.models import infer_signature

    from machines.milling.simulator import simulate
    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.machine.milling import MILLING
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import export_model
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    params = load_params()
    pulled = ingest((Source(uri="simulator://?rows=10000&seed=7"),), params.machine)
    rows = split(
        params.machine.with_features(clean(pulled, params.machine, params.cleaning).frame),
        params.machine,
        params.split,
        7,
    )
    raw = simulate(TABLE_ROWS, 11)[list(MILLING.input_names)]
    raw.to_parquet(folder / "rows.parquet")
    rows.test.head(5).to_parquet(folder / "example.parquet")
    for algorithm in ALGORITHMS:
        trained = train_untuned(algorithm, rows.train, rows.fold, params)
        (folder / algorithm).mkdir()
        for name, content in export_model(trained, rows, params).items():
            (folder / algorithm / name).write_bytes(content)
        flavour = mlflow.lightgbm if algorithm == "lightgbm" else mlflow.sklearn
        trusted = {} if algorithm == "lightgbm" else {"skops_trusted_types": ["sklearn.tree._tree.Tree"]}
        features = pd.DataFrame(MILLING.feature_matrix(raw, trained.features), columns=list(trained.features))
        if algorithm == "random_forest":
            trained.estimator.feature_names_in_ = features.columns.to_numpy()  # avoids a warning per request
        signature = infer_signature(features, trained.estimator.predict(features.to_numpy()))
        target = folder / f"{algorithm}-flavour"
        flavour.save_model(trained.estimator, target, signature=signature, pip_requirements=["mlflow"], **trusted)
    records = raw.astype({"rotational_speed_rpm": float, "tool_wear_min": float}).to_dict("records")
    _write(folder / "one.json", records[0])
    _write(folder / "records.json", records[:BATCH_ROWS])
    _write(folder / "columns.json", {name: [record[name] for record in records] for name in MILLING.input_names})
    _write(folder / "raw-one.json", {"dataframe_records": records[:1]})
    for name, count in (("flavour-one", 1), ("flavour-records", BATCH_ROWS)):
        split_frame = features.head(count).astype(float).to_dict("split")
        _write(folder / f"{name}.json", {"dataframe_split": {key: split_frame[key] for key in ("columns", "data")}})
    table = pa.Table.from_pandas(raw, preserve_index=False)
    with pa.ipc.new_stream(str(folder / "table.arrow"), table.schema) as stream:
        stream.write_table(table)


def promote(folder: Path, algorithm: str) -> None:
    """Register the model of `algorithm` and promote it to production."""
    import pandas as pd

    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.tracking.connection import connect
    from predictive_maintenance.tracking.model_registry import ModelRegistry
    from predictive_maintenance.tracking.packaging import package_version
    from predictive_maintenance.tracking.runs import FlowRun

    connection = connect(load_params().registry)
    versions, run = ModelRegistry(connection), FlowRun.start(connection, f"benchmark/{algorithm}", {})
    files = {path.name: path.read_bytes() for path in (folder / algorithm).iterdir()}
    (work := folder / f"{algorithm}-work").mkdir()
    version = versions.register(run, package_version(files, pd.read_parquet(folder / "example.parquet"), work), {})
    held = versions.production_version()
    versions.promote(version.version, held.version if held else None)


def score_alone(folder: Path) -> float:
    """Rows per second of the scorer in this process, on the same rows and with the number of threads of the API."""
    import pandas as pd

    from predictive_maintenance.scorer.scoring import Scorer

    rows, scorer = (
        pd.read_parquet(folder / "rows.parquet"),
        Scorer.load(folder / "lightgbm", threads=min(2, os.cpu_count() or 1)),
    )
    measured, _ = measure(5, scorer.probabilities, rows)
    return len(rows) / measured.seconds


@contextmanager
def _registry(folder: Path) -> Iterator[Server]:
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with serving(command, "/health") as server:
        yield server


def _mlflow_serve(bench: Bench, model: str, body: str) -> Any:
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        model,
        "--env-manager",
        "local",
        "--port",
        "{port}",
    ]
    return serving(command, "/invocations", bench.body(body).read_bytes())


def _median_seconds(url: str, body: bytes, media_type: str, times: int) -> float:
    headers = {"content-type": media_type}
    with httpx.Client(timeout=60) as client:
        post: Callable[[], Any] = lambda: client.post(url, content=body, headers=headers).raise_for_status()  # noqa: E731
        return statistics.median(measure(1, post)[0].seconds for _ in range(times))


def _counted_requests(server: Server) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith("pdm_http_requests_total{") and '"/predict"' in line
    )


def _metric(server: Server, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and line[len(name)] in " {")


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def _log_progress(activity: str) -> None:
    print(f"{activity} ...", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="one round of a second each, to check that the benchmark runs"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
