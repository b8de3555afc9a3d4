"""Time of an explanation and of a what-if analysis by the number of inputs, on one core.

    python benchmarks/explaining.py

Each line is a machine of its own, with LightGBM trained on invented readings with the fixed hyperparameters of params.yaml and
LightGBM's defaults. The times are processor times, medians over the readings, so that other programs on the machine count
little. The error is the largest standard error of a contribution, in percentage points, the mean over alarms.

Expected: 100 sensors and 10 categories take less than 50 ms.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from measuring import describe_machine, in_child, markdown_table

SHAPES = (
    (5, 1, 0), (7, 0, 0), (10, 0, 0), (11, 0, 0), (30, 3, 0), (100, 0, 0), (100, 10, 0), (300, 0, 0), (7, 1, 3), (17, 0, 2),
)  # fmt: skip
"""Numbers of sensors, of categories, and of windows with two statistics of each sensor."""

ROWS = 5000
READINGS = 15
LIMIT_MS = 50.0


def main() -> None:
    lines = []
    for shape in SHAPES:
        print(f"{name_of(*shape)} ...", file=sys.stderr, flush=True)
        lines.append(in_child(line, *shape))
    headers = ["machine", "explanation ms", "reference readings", "error", "what-if ms", "what-if points"]
    print(f"{describe_machine()}\n\n{markdown_table(headers, lines)}")


def name_of(sensors: int, categories: int, windows: int) -> str:
    return f"{sensors} sensors, {categories} categories{f', {windows} windows' if windows else ''}"


def line(sensors: int, categories: int, windows: int) -> list[str]:
    """The measurements of one machine."""
    from predictive_maintenance.inference.explaining import Explainer
    from predictive_maintenance.inference.what_if import what_if

    machine = invented_machine(sensors, categories, windows)
    readings, labels = invented_readings(machine)
    scorer = LightGbmScorer(machine, readings, labels)
    sample = {name: values[:2000].tolist() for name, values in readings.items()} | {"failed": labels[:2000].tolist()}
    explainer = Explainer(scorer, machine, sample)
    alarms = [row for row in range(2000, ROWS) if labels[row]][:READINGS]
    chosen = [{name: values[row] for name, values in readings.items()} for row in alarms]
    ranges = {name: sensor.range for name, sensor in machine.description.sensors.items()}
    explainer.explain(chosen[0])
    explained, explain_ms = timed([partial(explainer.explain, reading) for reading in chosen])
    curves, what_if_ms = timed([partial(what_if, scorer, machine, reading, ranges) for reading in chosen])
    errors = [max(each.standard_errors.values()) * 100 for each in explained if each.standard_errors]
    return [
        name_of(sensors, categories, windows),
        f"{explain_ms:.0f}{'' if explain_ms < LIMIT_MS else ' (above 50)'}",
        str(len(explained[0].reference.probabilities)),
        f"{statistics.mean(errors):.1f}" if errors else "exact",
        f"{what_if_ms:.0f}",
        f"{sum(len(curve.values) for curve in curves[0]):,}",
    ]


def timed(calls: list[Callable[[], Any]]) -> tuple[list[Any], float]:
    """The results of `calls`, and the median of their processor times in ms."""
    results, times = [], []
    for call in calls:
        start = time.process_time()
        results.append(call())
        times.append((time.process_time() - start) * 1000)
    return results, statistics.median(times)


def invented_machine(sensors: int, categories: int, windows: int) -> Any:
    """A machine of sensors s0, s1, ... from 0 to 1, categories c0, c1, ... of three values, and windows of two statistics."""
    from predictive_maintenance.config.machine_file import parse_machine

    lines = ["name: invented machine", "model_name: invented", "label: {column: failed}", "sensors:"]
    lines += [f"  s{number}: {{label: S{number}, range: [0, 1], resolution: 0.001}}" for number in range(sensors)]
    lines += ["categories:"] if categories else []
    lines += [f"  c{number}: {{label: C{number}, values: [a, b, c]}}" for number in range(categories)]
    if windows:
        spans = [10 * 4**number for number in range(windows)]
        lines += [f"history: {{windows: {spans}, statistics: [mean, slope]}}", "group: machine", "units: [cycle]"]
        lines += ["machine: {}", "time: {kind: counter, unit: cycle}"]
    return parse_machine("\n".join(lines))


def invented_readings(machine: Any) -> tuple[dict[str, Any], Any]:
    """Uniform readings by column, and their labels: failures, a twelfth, are high sums of up to 10 inputs, with noise."""
    import numpy as np

    random = np.random.default_rng(1)
    readings = {name: random.random(ROWS) for name in (*machine.sensor_names, *machine.history_features)}
    readings |= {name: random.choice(np.array(["a", "b", "c"], dtype=object), ROWS) for name in machine.category_names}
    codes = [category.of_column(readings[name]) / 2 for name, category in machine.categories.items()]
    causes = [*(readings[name] for name in machine.sensor_names[:8]), *codes[:2]]
    score = np.sum(causes, axis=0) + random.normal(0, 0.2, ROWS)
    return readings, (score > np.quantile(score, 11 / 12)).astype(int)


class LightGbmScorer:
    """LightGBM as the ONNX runtime scores it for the service, for any machine."""

    def __init__(self, machine: Any, readings: Mapping[str, Any], labels: Any) -> None:
        from predictive_maintenance.config.params_file import load_params
        from predictive_maintenance.scorer.onnx_session import open_session
        from predictive_maintenance.training.estimators import build_estimator
        from predictive_maintenance.training.export import to_onnx

        self._machine, fixed = machine, load_params().candidates["lightgbm"].fixed
        matrix = machine.feature_matrix(readings)
        estimator = build_estimator("lightgbm", fixed, seed=1, threads=1).fit(matrix, labels)
        self._session = open_session(to_onnx(estimator, matrix.shape[1]), matrix.shape[1])
        self._input = self._session.get_inputs()[0].name

    def probabilities(self, columns: Mapping[str, Any], /) -> Any:
        import numpy as np

        log_odds = self._session.run(None, {self._input: self._machine.feature_matrix(columns)})[0][:, -1]
        return 1 / (1 + np.exp(-log_odds.astype(np.float64)))

    def probability(self, reading: Mapping[str, Any], /) -> float:
        names = (*self._machine.input_names, *self._machine.history_features)
        return float(self.probabilities({name: [reading[name]] for name in names})[0])

    def decisions(self, probabilities: Any, /) -> Any:
        return probabilities >= 0.5


if __name__ == "__main__":
    main()
