"""How often monitoring reports drift where there is none, and how soon where there is some.

    python benchmarks/drift.py                                   all machines and changes, 20 repetitions, on all cores
    python benchmarks/drift.py --change none --repeat 50         false incidents a month
    python benchmarks/drift.py --machine fleet --change concept  the changes of the fleet with "concept" in their names
    python benchmarks/drift.py --results drift.jsonl             keeps each run in the file, and repeats none that is in it

Each run is reported when it has ended, and the table is printed also if the command is interrupted, by Ctrl-C or `timeout`. The
same command with the same --results then goes on.

In each run, readings are simulated with another seed: a model is trained on the first ones, and the later ones are production, in
windows of 1,000 readings of the milling machine, and of one week of 50 pumps. After four windows, one of the changes below
begins. All labels arrive, those of pumps after their horizon of a week. The table has the number of runs with an incident, by
the rule 3 of 5 windows and the newest, with the Wilson interval of their share, and the median number of windows from the change
to it, with the least and the most. Without a change, all incidents of a run count. A window is taken for a week, as by default,
and the upper limit of their rate is that of a Poisson distribution.

Windows of `milling` have readings of all times. Those of `milling in time` are consecutive: the simulated temperatures are a
random walk, so that later windows differ from training, and "none" has true incidents.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import markdown_table
from scipy.stats import chi2

from predictive_maintenance.config.params import MonitoringSettings, Params
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.evaluation.intervals import wilson_interval
from predictive_maintenance.evaluation.metrics import score
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.monitoring.drift import Finding, compare
from predictive_maintenance.monitoring.labels import UNKNOWN, LabelledPredictions, LabelSource
from predictive_maintenance.monitoring.performance import EvaluationMetrics, OutcomeCounts, count, losses, measure
from predictive_maintenance.monitoring.rule import is_resolved, lasting
from predictive_maintenance.monitoring.windows import WindowCounter
from predictive_maintenance.scorer.monitoring_reference import FloatArray, MonitoringReference, watched_columns
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import MONITORING_FILE
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.labelling import LabelledRows, label, labelled_rows
from predictive_maintenance.training.splits import split
from predictive_maintenance.validation.cleaning import clean

LEAST, AMONG = 3, 5
OPTIONAL = "vibration_mm_s"
_BEFORE, _AFTER = 4, 10  # windows before and after the change
_SAMPLES = 300
_FIRST_SEED = 100
_MONTH_DAYS, _CONFIDENCE = 365.25 / 12, 0.95

LABEL = "label"
"""1 or 0, or UNKNOWN."""

NO_CHANGE = "none"


@dataclass(frozen=True)
class Change:
    """What happens to the readings of so many windows, or to their labels only."""

    apply: Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
    windows: int = _AFTER
    labels_only: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", choices=tuple(PLANTS), action="append", help="only this machine; may be repeated")
    parser.add_argument("--change", action="append", help="only changes with this text in their names; may be repeated")
    parser.add_argument("--repeat", type=int, default=20, help="repetitions of each change")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument(
        "--results",
        type=Path,
        help="file with the incidents of each run of this version, as JSON lines: read first, and added to",
    )
    arguments = parser.parse_args()
    texts = arguments.change or [""]
    chosen = {name: _chosen(name, texts) for name in arguments.machine or PLANTS}
    if not any(chosen.values()):
        parser.error(f"--change {' '.join(texts)}: no change of {', '.join(chosen)} has this in its name")
    seeds = range(_FIRST_SEED, _FIRST_SEED + arguments.repeat)
    runs = Runs(arguments.results)
    missing = [
        (name, names, seed) for name in chosen for seed in seeds if (names := runs.missing(name, chosen[name], seed))
    ]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pool = ProcessPoolExecutor(arguments.jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        for future in as_completed([pool.submit(run, *one) for one in missing]):
            runs.add(future.result())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        print(runs.table(chosen, seeds))


@dataclass(frozen=True)
class Found:
    """An incident: the number of windows from the change to its opening, and its reasons."""

    windows: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """The incidents of each change in one simulation, which took `seconds` of processor time."""

    machine: str
    seed: int
    seconds: float
    found: Mapping[str, list[Found]]


class Runs:
    """The finished runs, kept in a file if there is one."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._found: dict[tuple[str, int, str], list[Found]] = {}
        for line in file.read_text(encoding="utf-8").splitlines() if file and file.exists() else ():
            kept = json.loads(line)
            found = {
                change: [Found(one["windows"], tuple(one["reasons"])) for one in all_found]
                for change, all_found in kept["found"].items()
            }
            self._take(Run(**(kept | {"found": found})))

    def missing(self, machine: str, names: Sequence[str], seed: int) -> list[str]:
        """The changes among `names` that have not been tried with a seed."""
        return [change for change in names if (machine, seed, change) not in self._found]

    def add(self, run: Run) -> None:
        """Report a run that has ended."""
        self._take(run)
        if self._file:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(run)) + "\n")
        print(f"{run.machine}, seed {run.seed}, {run.seconds:.0f} s of processor time", file=sys.stderr)
        for change, found in run.found.items():
            texts = "; ".join(f"after {one.windows} windows, {', '.join(one.reasons)}" for one in found)
            print(f"  {change}: {texts or 'no incident'}", file=sys.stderr, flush=True)

    def table(self, chosen: Mapping[str, Sequence[str]], seeds: Sequence[int]) -> str:
        """The incidents of the runs with these machines, changes and seeds."""
        rows = []
        for machine, names in chosen.items():
            for change in names:
                runs = [found for seed in seeds if (found := self._found.get((machine, seed, change))) is not None]
                rows += [(machine, change, *_summary(change, runs))] if runs else []
        return markdown_table(("machine", "change", "runs with an incident", "windows to it, median", "found in"), rows)

    def _take(self, run: Run) -> None:
        self._found |= {(run.machine, run.seed, change): found for change, found in run.found.items()}


def run(name: str, names: Sequence[str], seed: int) -> Run:
    """The incidents of the changes `names`, in one simulation."""
    started = time.process_time()
    make, sensor = PLANTS[name]
    plant = make(seed)
    calm = [plant.check(frame, number) for number, frame in enumerate(plant.windows)]
    calm_losses = [plant.losses(plant.due(calm, number)) for number in range(len(calm))]
    found = {}
    for change in names:
        made = changes(sensor)[change]
        random, checks = np.random.default_rng(seed), list(calm)
        for number in range(_BEFORE, _BEFORE + made.windows):
            frame = made.apply(plant.windows[number], random)
            checks[number] = (
                plant.with_labels(calm[number], frame, number) if made.labels_only else plant.check(frame, number)
            )
        found[change] = list(
            incidents(_findings(plant, checks, calm, calm_losses), 0 if change == NO_CHANGE else _BEFORE)
        )
    return Run(machine=name, seed=seed, seconds=time.process_time() - started, found=found)


def _findings(
    plant: "Plant", checks: Sequence["Checked"], calm: Sequence["Checked"], calm_losses: Sequence[list[Finding]]
) -> list[list[Finding]]:
    """What monitoring finds in each window. Losses are measured where the outcomes are not those of the calm windows."""
    found = []
    for number, checked in enumerate(checks):
        due = plant.due(checks, number)
        is_calm = all(one is other for one, other in zip(due, plant.due(calm, number), strict=True))
        found.append([*checked.differences, *(calm_losses[number] if is_calm else plant.losses(due))])
    return found


def incidents(windows: Sequence[list[Finding]], before: int) -> Iterator[Found]:
    """The incidents that open after the first `before` windows."""
    is_open = False
    for end in range(before + 1, len(windows) + 1):
        reasons = lasting(windows[:end], least=LEAST, among=AMONG)
        if reasons and not is_open:
            yield Found(end - before, tuple(f"{reason.kind}: {reason.column}" for reason in reasons))
        is_open = bool(reasons) or (is_open and not is_resolved(windows[:end], least=LEAST, among=AMONG))


def _summary(change: str, runs: Sequence[list[Found]]) -> tuple[str, str, str]:
    first = [found[0] for found in runs if found]
    where = Counter(reason for found in first for reason in found.reasons)
    texts = ", ".join(f"{reason} ({count})" for reason, count in where.most_common(4))
    low, high = wilson_interval(len(first), len(runs), _CONFIDENCE)
    shown = f"{len(first)} of {len(runs)} [{low:.2f}, {high:.2f}]"
    if change == NO_CHANGE:
        months = len(runs) * (_BEFORE + _AFTER) * MonitoringSettings().window_days / _MONTH_DAYS
        count = sum(map(len, runs))
        upper = chi2.ppf(_CONFIDENCE, 2 * (count + 1)) / 2 / months
        shown += (
            f"; {count} in {months:.1f} months: {count / months:.3f} a month, at most {upper:.3f} ({_CONFIDENCE:.0%})"
        )
    waited = [one.windows for one in first]
    return shown, f"{np.median(waited):.0f} ({min(waited)} to {max(waited)})" if waited else "", texts


def _chosen(name: str, texts: Sequence[str]) -> list[str]:
    """The changes of a plant with one of `texts` in their names."""
    return [change for change in changes(PLANTS[name][1]) if any(text in change for text in texts)]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A window: its predictions, how it differs from training, and what became of the predictions."""

    probabilities: FloatArray
    differences: list[Finding]
    outcomes: OutcomeCounts


class Plant:
    """Scored readings of production in windows, after a version was trained on the readings before them."""

    def __init__(self, params: Params, uri: str, window: Callable[[pd.DataFrame], pd.Series], first: int) -> None:
        """`window` gives the number of each reading's window. Those below `first` are for training."""
        found, events = labelled(params, uri)
        settings = params.split.model_copy(update={"by": "group"})
        early = (
            frame[(window(frame) < first).to_numpy()].reset_index(drop=True)
            for frame in (found.frame, found.unlabelled)
        )
        rows = split(next(early), params.machine, settings, 3, next(early), events)
        self.files = export_model(train_untuned("lightgbm", rows.train, rows.fold, params), rows, params)
        self.scorer, self.params = Scorer.from_files(self.files), params
        probabilities = self.scorer.probabilities(rows.test)
        held_out = score(
            rows.test, params.machine.label_name, probabilities, self.scorer.decisions(probabilities), params.costs,
            params.evaluation, params.training.seed,
        )  # fmt: skip
        self.at_evaluation = EvaluationMetrics(metrics=held_out.estimates, costs=params.costs)
        self.reference = MonitoringReference.model_validate_json(self.files[MONITORING_FILE])
        label_name = params.machine.label_name
        frame = pd.concat(
            [found.frame.assign(**{LABEL: found.frame[label_name]}), found.unlabelled.assign(**{LABEL: UNKNOWN})]
        )
        frame = frame.sort_values("timestamp", kind="stable") if "timestamp" in frame else frame
        numbers = window(frame).to_numpy()
        self.windows = [frame[numbers == first + number] for number in range(_BEFORE + _AFTER)]

    def check(self, frame: pd.DataFrame, number: int) -> Checked:
        """Score a window and compare it with training."""
        probabilities = self.scorer.probabilities(frame)
        counter = WindowCounter(self.reference)
        decisions = self.scorer.decisions(probabilities)
        counter.add(watched_columns(self.scorer.machine, frame, probabilities, decisions), _machines(frame))
        differences = compare(self.scorer.machine, self.reference, counter.summary(), MonitoringSettings()) or []
        outcomes = self._outcomes(frame, number, probabilities)
        return Checked(probabilities=probabilities, differences=differences, outcomes=outcomes)

    def with_labels(self, checked: Checked, frame: pd.DataFrame, number: int) -> Checked:
        """A window with the labels of `frame`, which is otherwise the same."""
        return replace(checked, outcomes=self._outcomes(frame, number, checked.probabilities))

    def due(self, windows: Sequence[Checked], number: int) -> list[OutcomeCounts]:
        """The outcomes that a window is judged by: those of the windows whose labels are due by then."""
        end = max(number + 1 - self._delay, 0)
        return [one.outcomes for one in windows[max(end - MonitoringSettings().performance_windows, 0) : end]]

    def losses(self, due: Sequence[OutcomeCounts]) -> list[Finding]:
        """The metrics of these outcomes that are worse than at evaluation."""
        evaluation = self.params.evaluation.model_copy(update={"bootstrap_samples": _SAMPLES})
        source: LabelSource = "failures" if self._delay else "feedback"
        settings = MonitoringSettings()
        return list(losses(measure(due, source, self.at_evaluation, settings, evaluation, 1, 0, 1), settings))

    @property
    def _delay(self) -> int:
        """Windows after which the labels of one are known."""
        return int(self.params.machine.horizon is not None)

    def _outcomes(self, frame: pd.DataFrame, number: int, probabilities: FloatArray) -> OutcomeCounts:
        related = np.array([f"{number} {place // 32}" for place in range(len(frame))], dtype=object)
        machines = _machines(frame)
        labelled = LabelledPredictions(
            probabilities=probabilities,
            decisions=self.scorer.decisions(probabilities),
            labels=frame[LABEL].to_numpy(dtype=np.int8),
            groups=related if machines is None else machines,
        )
        return count([labelled])


def _machines(frame: pd.DataFrame) -> Any:
    return frame[MACHINE_ID].to_numpy(dtype=object) if MACHINE_ID in frame else None


def milling(seed: int) -> Plant:
    """A machine with windows of 1,000 readings of all times, trained on 10,000."""
    windows = 10 + _BEFORE + _AFTER
    return Plant(
        _params("milling"),
        f"simulator://?rows={1_000 * windows}&seed={seed}",
        lambda frame: frame["row"] % windows,
        first=10,
    )


def milling_in_time(seed: int) -> Plant:
    """The same with windows of 1,000 consecutive readings, after the 10,000 of training."""
    windows = 10 + _BEFORE + _AFTER
    return Plant(
        _params("milling"),
        f"simulator://?rows={1_000 * windows}&seed={seed}",
        lambda frame: (frame["row"] - 1) // 1_000,
        first=10,
    )


def fleet(seed: int) -> Plant:
    """50 pumps with windows of a week, trained on half a year."""
    days = 7 * (26 + _BEFORE + _AFTER)
    return Plant(
        _params("fleet"),
        f"simulator://fleet?machines=50&days={days}&seed={seed}",
        lambda frame: (frame["timestamp"] - pd.Timestamp("2025-01-01", tz="UTC")).dt.days // 7,
        first=26,
    )


PLANTS: Mapping[str, tuple[Callable[[int], Plant], str]] = {
    "milling": (milling, "torque_nm"),
    "milling in time": (milling_in_time, "torque_nm"),
    "fleet": (fleet, "motor_current_a"),
}
"""How to make each plant, and the sensor that changes."""


def _params(machine: str) -> Params:
    """The settings of a machine, with one thread in each process."""
    params = load_params(machine=machine)
    return params.model_copy(update={"training": params.training.model_copy(update={"threads": 1})})


def changes(sensor: str) -> Mapping[str, Change]:
    """What happens to the readings, by name. The sizes are in standard deviations of the sensor."""

    def moved(share: float) -> Change:
        return Change(lambda frame, _: frame.assign(**{sensor: frame[sensor] + share * frame[sensor].std()}))

    def wider(factor: float) -> Change:
        def change(frame: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
            middle = frame[sensor].mean()
            return frame.assign(**{sensor: middle + factor * (frame[sensor] - middle)})

        return Change(change)

    def stuck(frame: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
        if MACHINE_ID not in frame:
            return frame.assign(**{sensor: frame[sensor].iloc[0]})
        one = frame[MACHINE_ID] == frame[MACHINE_ID].iloc[0]
        return frame.assign(**{sensor: frame[sensor].mask(one, frame[sensor].iloc[0])})

    def other_mix(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        category = "product_type" if "product_type" in frame else "model"
        kept = (frame[category] == frame[category].mode()[0]) | (random.random(len(frame)) < 0.2)
        return frame[kept]

    def missing(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        return frame.assign(**{OPTIONAL: frame[OPTIONAL].mask(random.random(len(frame)) < 0.15)})

    def unseen_failures(share: float, windows: int = _AFTER) -> Change:
        """So many more failures as there are, without any sign: of readings, or of machines for the whole window."""

        def change(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
            units = frame[MACHINE_ID] if MACHINE_ID in frame else pd.Series(np.arange(len(frame)), frame.index)
            failing = units[frame[LABEL] == 1].nunique()
            healthy = units[frame[LABEL] == 0].unique()
            more = random.choice(healthy, min(random.poisson(share * failing), len(healthy)), replace=False)
            return frame.assign(**{LABEL: frame[LABEL].mask(units.isin(more) & (frame[LABEL] == 0), 1)})

        return Change(change, windows, labels_only=True)

    def fewer_failures(share: float, windows: int = _AFTER) -> Change:
        """A share of the machines, or readings, that would fail do not: somebody has mended them for good."""

        def change(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
            units = frame[MACHINE_ID] if MACHINE_ID in frame else pd.Series(np.arange(len(frame)), frame.index)
            failing = units[frame[LABEL] == 1].unique()
            mended = failing[random.random(len(failing)) < share]
            return frame.assign(**{LABEL: frame[LABEL].mask(units.isin(mended) & (frame[LABEL] == 1), 0)})

        return Change(change, windows, labels_only=True)

    optional = {f"15 % of {OPTIONAL} missing": Change(missing)} if sensor == "motor_current_a" else {}
    return {
        NO_CHANGE: Change(lambda frame, _: frame, windows=0),
        f"mean of {sensor} + 0.25 sd": moved(0.25),
        f"mean of {sensor} + 0.5 sd": moved(0.5),
        f"mean of {sensor} + 1 sd": moved(1.0),
        f"spread of {sensor} x 1.5": wider(1.5),
        f"spread of {sensor} x 2": wider(2.0),
        f"{sensor} stuck (at one machine, if there are several)": Change(stuck),
        "mix of machines: four fifths of all but one kind are gone": Change(other_mix),
        **optional,
        "concept: half as many failures again, without signs": unseen_failures(0.5),
        "concept: as many failures again, without signs": unseen_failures(1.0),
        "concept: half of the failures do not happen": fewer_failures(0.5),
        "concept: as many failures again, in one window only": unseen_failures(1.0, windows=1),
        "concept: half of the failures do not happen, in one window only": fewer_failures(0.5, windows=1),
    }


def labelled(params: Params, uri: str) -> tuple[LabelledRows, dict[str, pd.DataFrame]]:
    """Clean readings of a source with features and labels, and its events."""
    pulled = ingest((Source(uri=uri),), params.machine)
    cleaned = clean(pulled, params.machine, params.cleaning, pulled.events)
    events = cleaned.event_frames()
    return labelled_rows(cleaned.frame, label(cleaned.frame, params.machine, events), params.machine, events), events


if __name__ == "__main__":
    main()
