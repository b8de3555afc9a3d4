"""The training flow from sources to a registered model, with more rows than a table in memory can have.

    python benchmarks/scale.py --rows 1000000 10000000            hourly readings of the simulated fleet, about ten minutes
    PDM_ENGINE=dask python benchmarks/scale.py --rows 10000000    the same on all cores, or on DASK_SCHEDULER_ADDRESS

Each run is `python flows/train_flow.py run` on Parquet files of 300,000 readings with errors, maintenance and failures: 58
features, LightGBM on all training rows, a random forest on a sample. The search has one trial. Per step: wall time, peak
resident memory of the largest process, and bytes that its processes read and wrote, from files and pipes. Growth is the time
against that of the run before, in proportion to the readings.

A run that fails keeps its files, and the command that resumes it is printed.

Exit code 1 if a goal is missed: 3 GiB per process, and 12 GiB in the one that fits LightGBM; from each number of rows to the
next, at most 1.15 times the time that proportion gives; a registered model.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import yaml
from measuring import describe_machine, in_child, markdown_table

PROJECT_DIR = Path(__file__).resolve().parents[1]
FLOW = (sys.executable, str(PROJECT_DIR / "flows" / "train_flow.py"), "--no-pylint")
STEPS = ("start", "ingest", "clean", "features", "train lightgbm", "train random_forest", "select", "evaluate", "end")
ALGORITHMS = ("lightgbm", "random_forest")
READINGS_PER_MACHINE = 8_400  # of a year, without the hours that are lost
MACHINES_PER_FILE = 36
FEWER_WINDOWS = ("windows: [6h, 24h, 7d]", "windows: [24h, 7d]")
GIB = 2**30
MAX_BYTES, MAX_LIGHTGBM_BYTES, MAX_GROWTH = 3 * GIB, 12 * GIB, 1.15
_POLL_SECONDS = 0.3
_LINE = re.compile(r"^(\S+ \S+) \[\d+/(\w+)/(\d+) \(pid (\d+)\)\] (Task is starting|Task finished successfully)")


@dataclass
class Step:
    """What one step took: seconds, and by process its processor time in seconds, bytes at its peak, and bytes that it moved."""

    seconds: float = 0.0
    busy: dict[int, float] = field(default_factory=dict)
    peak: dict[int, int] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the flow on `rows` readings, with its steps by name, and the last line about the model."""

    rows: int
    seconds: float
    steps: dict[str, Step]
    result: str

    @property
    def busy(self) -> float:
        """Processor time in seconds of all steps."""
        return sum(sum(step.busy.values()) for step in self.steps.values())


def main() -> None:
    arguments = _arguments()
    runs = []
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="scale-", dir=arguments.folder)).resolve()
    for rows in arguments.rows:
        folder = base / str(rows)
        folder.mkdir()
        _say(f"simulating {rows:,} readings ...")
        readings = in_child(write_fleet, folder, rows)
        write_project(folder, arguments)
        _say(f"training on {readings:,} readings in {folder} ...")
        runs.append(train(folder, readings, show=arguments.verbose))
        print(f"{runs[-1].result}\n\n{step_table(runs[-1])}\n", flush=True)
        if not arguments.keep:
            shutil.rmtree(folder)
    if not arguments.keep:
        base.rmdir()
    missed = list(missed_goals(runs))
    print(f"{describe_machine()}, PDM_ENGINE={os.environ.get('PDM_ENGINE', 'in_process')}\n\n{run_table(runs)}\n")
    print("\n".join(f"missed: {goal}" for goal in missed) or "every goal is reached")
    sys.exit(bool(missed))


def write_fleet(folder: Path, rows: int) -> int:
    """Write about so many readings, in files of some machines each, and the other tables. Return the number of readings."""
    import pandas as pd

    from machines.fleet.simulator import simulate_tables

    (folder / "readings").mkdir()
    others: dict[str, list[pd.DataFrame]] = defaultdict(list)
    written = 0
    for number, start in enumerate(range(0, max(1, rows // READINGS_PER_MACHINE), MACHINES_PER_FILE)):
        machines = min(MACHINES_PER_FILE, max(1, rows // READINGS_PER_MACHINE) - start)
        tables = simulate_tables(machines=machines, seed=number)
        for name, table in tables.items():
            own = table.assign(machine_id=f"{number:04d}-" + table["machine_id"])
            if name == "readings":
                own.to_parquet(folder / "readings" / f"{number:04d}.parquet", index=False)
                written += len(own)
            else:
                others[name].append(own)
    for name, parts in others.items():
        pd.concat(parts, ignore_index=True).to_parquet(folder / f"{name}.parquet", index=False)
    return written


def write_project(folder: Path, arguments: argparse.Namespace) -> None:
    """A project of the fleet's description and of the settings for large data."""
    shutil.copytree(PROJECT_DIR / "machines" / "fleet", folder / "machines" / "fleet")
    (folder / "machines" / "fleet" / "params.yaml").unlink()
    description = folder / "machines" / "fleet" / "machine.yaml"
    description.write_text(description.read_text(encoding="utf-8").replace(*FEWER_WINDOWS), encoding="utf-8")
    settings = yaml.safe_load((PROJECT_DIR / "params.yaml").read_text(encoding="utf-8"))
    own = yaml.safe_load((PROJECT_DIR / "machines" / "fleet" / "params.yaml").read_text(encoding="utf-8"))
    settings["machine"] = "fleet"
    for section in ("threshold", "gate"):
        settings[section] |= own[section]
    settings["split"]["folds"] = arguments.folds
    settings["training"] |= {"search_rows": arguments.search_rows, "forest_rows": arguments.forest_rows}
    for name, candidate in settings["candidates"].items():
        candidate.update(own["candidates"][name], trials=1)
        candidate["fixed"]["n_estimators"] = arguments.trees
    sources = [{"uri": str(folder / "readings" / "*.parquet"), "merge": "append"}]
    names = ("errors", "maintenance", "failures", "machines")
    settings["data"]["sources"] = sources + [{"uri": str(folder / f"{name}.parquet"), "table": name} for name in names]
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def train(folder: Path, rows: int, *, show: bool) -> Run:
    """Run the flow and watch its processes."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*FLOW, "run"],
        cwd=folder,
        env=os.environ | _environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    steps: dict[str, Step] = defaultdict(Step)
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), steps), daemon=True)
    watcher.start()
    lines = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line.rstrip())
        if show:
            print(line, end="", file=sys.stderr, flush=True)
    code = process.wait()
    seconds = time.perf_counter() - start
    watcher.join()
    if code:
        sys.exit(
            "\n".join([*lines[-40:], f"the run ended with code {code}. To go on where it stopped:", resume(folder)])
        )
    _read_times(lines, steps)
    results = re.compile(r"F1 .* held-out rows|is in production|registered as candidate")
    result = "; ".join(line.split("] ", 1)[-1] for line in lines if results.search(line))
    return Run(rows=rows, seconds=seconds, steps=dict(steps), result=result)


def resume(folder: Path) -> str:
    """The command that continues the run in `folder`."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in _environment(folder).items()]
    return " ".join(["cd", shlex.quote(str(folder)), "&&", *variables, shlex.join([*FLOW, "resume"])])


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PDM_PROJECT_DIR": str(folder),
        "PYTHONPATH": str(PROJECT_DIR),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
    }


def _watch(run: psutil.Process, steps: dict[str, Step]) -> None:
    """Note the peak memory and the bytes of each process of a step until the run has ended."""
    while run.is_running() and run.status() != psutil.STATUS_ZOMBIE:
        for process in _children(run):
            try:
                name = _step_of(process)
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                io, cpu = process.io_counters(), process.cpu_times()
            except (psutil.Error, OSError):
                continue  # it has ended
            if name and (peak := re.search(r"VmHWM:\s+(\d+) kB", status)):
                steps[name].peak[process.pid] = int(peak[1]) * 1024
                steps[name].busy[process.pid] = cpu.user + cpu.system
                steps[name].moved[process.pid] = io.read_chars + io.write_chars
        time.sleep(_POLL_SECONDS)


def _children(run: psutil.Process) -> list[psutil.Process]:
    try:
        return run.children(recursive=True)
    except psutil.Error:
        return []


def _step_of(process: psutil.Process) -> str | None:
    """The step that a process, or the process that started it, works on."""
    for one in [process, *process.parents()]:
        words = one.cmdline()
        if "step" in words and "train_flow.py" in " ".join(words):
            name = words[words.index("step") + 1]
            return f"train {ALGORITHMS[int(words[words.index('--split-index') + 1])]}" if name == "train" else name
    return None


def _read_times(lines: list[str], steps: dict[str, Step]) -> None:
    """Set the time of each step from the messages of its task. The two candidates train side by side."""
    started: dict[str, tuple[str, datetime]] = {}
    trains = sorted({int(match[3]) for line in lines if (match := _LINE.match(line)) and match[2] == "train"})
    for match in filter(None, map(_LINE.match, lines)):
        moment, step, task, event = datetime.fromisoformat(match[1]), match[2], match[3], match[5]
        name = f"train {ALGORITHMS[trains.index(int(task))]}" if step == "train" else step
        if event == "Task is starting":
            started[task] = name, moment
        elif task in started:
            steps[name].seconds = (moment - started[task][1]).total_seconds()


def step_table(run: Run) -> str:
    """Time, memory and bytes of each step."""
    lines = [
        [
            name,
            f"{step.seconds:,.0f}",
            f"{sum(step.busy.values()):,.0f}",
            f"{run.rows / step.seconds:,.0f}" if step.seconds else "",
            f"{max(step.peak.values(), default=0) / 2**20:,.0f}",
            f"{sum(step.moved.values()) / GIB:,.2f}",
        ]
        for name in STEPS
        if (step := run.steps.get(name))
    ]
    return markdown_table(["step", "s", "processor s", "readings/s", "peak MiB", "GiB moved"], lines)


def run_table(runs: list[Run]) -> str:
    """Each run as a whole, and the time against that of the run before, in proportion to the readings."""
    lines = []
    for before, run in zip([None, *runs], runs, strict=False):
        fit = {name: max(step.peak.values(), default=0) for name, step in run.steps.items()}
        others = max(peak for name, peak in fit.items() if name != "train lightgbm")
        growth = f"{growth_of(before, run):.2f}" if before else ""
        busy = f"{run.busy / run.rows / (before.busy / before.rows):.2f}" if before else ""
        lines.append(
            [
                f"{run.rows:,}",
                f"{run.seconds:,.0f}",
                f"{fit['train lightgbm'] / 2**20:,.0f}",
                f"{others / 2**20:,.0f}",
                growth,
                busy,
            ]
        )
    return markdown_table(
        ["readings", "s", "LightGBM, peak MiB", "other processes, peak MiB", "growth", "of processor time"], lines
    )


def growth_of(before: Run, run: Run) -> float:
    """The time of `run` divided by that of `before` in proportion to the readings."""
    return run.seconds / run.rows / (before.seconds / before.rows)


def missed_goals(runs: list[Run]) -> list[str]:
    """The goals that were missed, as text."""
    missed = []
    for before, run in zip([None, *runs], runs, strict=False):
        for name, step in run.steps.items():
            peak, most = (
                max(step.peak.values(), default=0),
                MAX_LIGHTGBM_BYTES if name == "train lightgbm" else MAX_BYTES,
            )
            if peak > most:
                missed.append(
                    f"{run.rows:,} readings: {name} needs {peak / GIB:.1f} GiB, and {most / GIB:g} are allowed"
                )
        if before and growth_of(before, run) > MAX_GROWTH:
            missed.append(
                f"{run.rows:,} readings take {growth_of(before, run):.2f} times the time in proportion to {before.rows:,}"
            )
        if "version" not in run.result:
            missed.append(f"{run.rows:,} readings: no model was registered")
    return missed


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[1_000_000], help="readings, ascending  [default: 1000000]"
    )
    parser.add_argument("--trees", type=int, default=50, help="trees of each model  [default: 50]")
    parser.add_argument("--folds", type=int, default=2, help="folds of the cross-validation  [default: 2]")
    parser.add_argument("--search-rows", type=int, default=300_000, help="rows of the search  [default: 300000]")
    parser.add_argument("--forest-rows", type=int, default=100_000, help="rows of the forest  [default: 100000]")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where files are kept meanwhile, some 600 bytes a reading; they are deleted after a run that succeeds",
    )
    parser.add_argument("--keep", action="store_true", help="keep the files of runs that succeed, too")
    parser.add_argument("--verbose", action="store_true", help="show the output of the flow")
    return parser.parse_args()


if __name__ == "__main__":
    main()
