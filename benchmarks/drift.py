"""How often monitoring reports drift where there is none, and how soon where there is some.

    python benchmarks/drift.py              both machines, 20 repetitions, ten minutes
    python benchmarks/drift.py --repeat 10  fewer repetitions

In each run, readings are simulated with another seed: a model is trained on the first ones, and the later ones are production, in
windows of 1,000 readings of the milling machine, and of one week of 50 pumps. After four windows, one of the changes below
begins. All labels arrive, those of pumps after their horizon of a week. The table has the number of runs with an incident, by
the rule 3 of 5 windows and the newest, and the median number of windows from the change to it; without a change, from the first
window.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from measuring import describe_machine, markdown_table

from predictive_maintenance.config.params import MonitoringSettings, Params
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.evaluation.metrics import score
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.monitoring.drift import Finding, compare
from predictive_maintenance.monitoring.labels import UNKNOWN, LabelledPredictions, LabelSource
from predictive_maintenance.monitoring.performance import EvaluationMetrics, OutcomeCounts, count, losses, measure
from predictive_maintenance.monitoring.rule import lasting
from predictive_maintenance.monitoring.windows import WindowCounter
from predictive_maintenance.scorer.monitoring_reference import MonitoringReference, watched_columns
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

LABEL = "label"
"""1 or 0, or UNKNOWN."""

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", choices=("milling", "fleet"), help="one of the machines")
    parser.add_argument("--repeat", type=int, default=20, help="repetitions of each change")
    arguments = parser.parse_args()
    rows = [
        (name, *result)
        for name, make, sensor in (("milling", milling, "torque_nm"), ("fleet", fleet, "motor_current_a"))
        if name == (arguments.machine or name)
        for result in results(make, sensor, arguments.repeat)
    ]
    print(f"{describe_machine()}; {arguments.repeat} runs of {_AFTER} windows after the change\n")
    print(markdown_table(("machine", "change", "runs with an incident", "windows to it, median", "found in"), rows))


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

    def check(self, frame: pd.DataFrame, number: int) -> tuple[list[Finding], OutcomeCounts]:
        """How a window differs from training, and what became of its predictions."""
        return self._differences(frame), self._outcomes(frame, number)

    def findings(self, checks: Sequence[tuple[list[Finding], OutcomeCounts]]) -> list[list[Finding]]:
        """What monitoring finds in each window, with the performance of the windows whose labels are due by then."""
        settings, delay = MonitoringSettings(), int(self.params.machine.horizon is not None)
        evaluation = self.params.evaluation.model_copy(update={"bootstrap_samples": _SAMPLES})
        found = []
        for number, (differences, _) in enumerate(checks):
            due = checks[max(number + 1 - delay - settings.performance_windows, 0) : max(number + 1 - delay, 0)]
            counts = reduce(OutcomeCounts.plus, (counted for _, counted in due), OutcomeCounts())
            source: LabelSource = "failures" if delay else "feedback"
            performance = measure(counts, source, self.at_evaluation, settings, evaluation, 1, 0, 1)
            found.append([*differences, *losses(performance, settings)])
        return found

    def _differences(self, frame: pd.DataFrame) -> list[Finding]:
        counter = WindowCounter(self.reference)
        probabilities = self.scorer.probabilities(frame)
        decisions = self.scorer.decisions(probabilities)
        counter.add(watched_columns(self.scorer.machine, frame, probabilities, decisions), _machines(frame))
        return compare(self.scorer.machine, self.reference, counter.summary(), MonitoringSettings()) or []

    def _outcomes(self, frame: pd.DataFrame, number: int) -> OutcomeCounts:
        probabilities = self.scorer.probabilities(frame)
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
    """A machine with windows of 1,000 readings, trained on 10,000.

    A window has readings of all times: the simulated temperature of the air is a random walk, which is a drift.
    """
    windows = 10 + _BEFORE + _AFTER
    return Plant(
        load_params(machine="milling"),
        f"simulator://?rows={1_000 * windows}&seed={seed}",
        lambda frame: frame["row"] % windows,
        first=10,
    )


def fleet(seed: int) -> Plant:
    """50 pumps with windows of a week, trained on half a year."""
    days = 7 * (26 + _BEFORE + _AFTER)
    return Plant(
        load_params(machine="fleet"),
        f"simulator://fleet?machines=50&days={days}&seed={seed}",
        lambda frame: (frame["timestamp"] - pd.Timestamp("2025-01-01", tz="UTC")).dt.days // 7,
        first=26,
    )


def changes(sensor: str) -> Mapping[str, Change | None]:
    """What happens to the readings, by name. The sizes are in standard deviations of the sensor."""

    def moved(share: float) -> Change:
        return lambda frame, _: frame.assign(**{sensor: frame[sensor] + share * frame[sensor].std()})

    def wider(factor: float) -> Change:
        def change(frame: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
            middle = frame[sensor].mean()
            return frame.assign(**{sensor: middle + factor * (frame[sensor] - middle)})

        return change

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

    def unseen_failures(share: float) -> Change:
        """So many more failures as there are, without any sign: of readings, or of machines for the whole window."""

        def change(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
            units = frame[MACHINE_ID] if MACHINE_ID in frame else pd.Series(np.arange(len(frame)), frame.index)
            failing = units[frame[LABEL] == 1].nunique()
            healthy = units[frame[LABEL] == 0].unique()
            more = random.choice(healthy, min(random.poisson(share * failing), len(healthy)), replace=False)
            return frame.assign(**{LABEL: frame[LABEL].mask(units.isin(more) & (frame[LABEL] == 0), 1)})

        return change

    def fewer_failures(share: float) -> Change:
        """A share of the machines, or readings, that would fail do not: somebody has mended them for good."""

        def change(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
            units = frame[MACHINE_ID] if MACHINE_ID in frame else pd.Series(np.arange(len(frame)), frame.index)
            failing = units[frame[LABEL] == 1].unique()
            mended = failing[random.random(len(failing)) < share]
            return frame.assign(**{LABEL: frame[LABEL].mask(units.isin(mended) & (frame[LABEL] == 1), 0)})

        return change

    optional = {f"15 % of {OPTIONAL} missing": missing} if sensor == "motor_current_a" else {}
    return {
        "none": None,
        f"mean of {sensor} + 0.25 sd": moved(0.25),
        f"mean of {sensor} + 0.5 sd": moved(0.5),
        f"mean of {sensor} + 1 sd": moved(1.0),
        f"spread of {sensor} x 1.5": wider(1.5),
        f"spread of {sensor} x 2": wider(2.0),
        f"{sensor} stuck (at one machine, if there are several)": stuck,
        "mix of machines: four fifths of all but one kind are gone": other_mix,
        **optional,
        "concept: half as many failures again, without signs": unseen_failures(0.5),
        "concept: as many failures again, without signs": unseen_failures(1.0),
        "concept: half of the failures do not happen": fewer_failures(0.5),
    }


def results(make: Callable[[int], Plant], sensor: str, repeat: int) -> Iterator[tuple[str, ...]]:
    """A row of the table for each change."""
    delays: dict[str, list[int]] = {name: [] for name in changes(sensor)}
    found: dict[str, Counter[str]] = {name: Counter() for name in delays}
    for seed in range(100, 100 + repeat):
        plant = make(seed)
        calm = [plant.check(frame, number) for number, frame in enumerate(plant.windows)]
        for name, change in changes(sensor).items():
            random = np.random.default_rng(seed)
            checks = calm if change is None else calm[:_BEFORE] + [
                plant.check(change(frame, random), number) for number, frame in enumerate(plant.windows[_BEFORE:], _BEFORE)
            ]  # fmt: skip
            changed = plant.findings(checks)
            for end in range(1 if change is None else _BEFORE + 1, len(changed) + 1):
                if reasons := lasting(changed[:end], least=LEAST, among=AMONG):
                    delays[name].append(end - (0 if change is None else _BEFORE))
                    found[name].update({f"{reason.kind}: {reason.column}" for reason in reasons})
                    break
    for name, numbers in delays.items():
        median = f"{np.median(numbers):.0f}" if numbers else ""
        where = ", ".join(f"{reason} ({count})" for reason, count in found[name].most_common(4))
        yield name, f"{len(numbers)} of {repeat}", median, where


def labelled(params: Params, uri: str) -> tuple[LabelledRows, dict[str, pd.DataFrame]]:
    """Clean readings of a source with features and labels, and its events."""
    pulled = ingest((Source(uri=uri),), params.machine)
    cleaned = clean(pulled, params.machine, params.cleaning, pulled.events)
    events = cleaned.event_frames()
    return labelled_rows(cleaned.frame, label(cleaned.frame, params.machine, events), params.machine, events), events


if __name__ == "__main__":
    main()
