"""Files of readings as strangers have them: other languages, separators, units, labels, and faults."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictive_maintenance.drafting.draft import Draft, draft
from predictive_maintenance.drafting.readings_table import read_tables

ROWS = 400


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file from its header and rows: its path."""

    def write_csv(
        header: list[str], rows: list[list[object]], name: str = "readings.csv", separator: str = ","
    ) -> Path:
        path = tmp_path / name
        lines = [separator.join(map(str, cells)) for cells in (header, *rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write_csv


@pytest.fixture
def draft_of() -> Callable[..., Draft]:
    """The draft of files with a label."""

    def of(*paths: Path, label: str | None = "failure") -> Draft:
        return draft(read_tables(paths), label, "my_machine")

    return of


@pytest.fixture
def german_press(write: Callable[..., Path]) -> Path:
    """A press: semicolons, decimal commas, umlauts, dates with dots, several machines, a constant column."""
    random.seed(1)
    rows: list[list[object]] = []
    for place in range(ROWS):
        pressure = 180 + 20 * random.random()
        rows.append(
            [
                f"{1 + place % 28:02}.01.2024 {place % 24:02}:30", f"P{place % 8}", "Werk Nord",
                f"{pressure:.2f}".replace(".", ","),
                f"{40 + 10 * random.random():.1f}".replace(".", ","), 1500 + place % 7, int(pressure > 197 and place % 3 > 0),
            ]
        )  # fmt: skip
    header = ["Zeitstempel", "Anlage", "Standort", "Öldruck (bar)", "Öltemperatur [°C]", "Drehzahl [U/min]", "Ausfall"]
    return write(header, rows, "Presse 7.csv", ";")


@pytest.fixture
def bearing(write: Callable[..., Path]) -> Path:
    """A bearing: no id, machine, time or category; values of 1e-4 and 1e6; missing cells; a label of true and false."""
    random.seed(2)
    rows: list[list[object]] = []
    for place in range(ROWS):
        clearance = 1e-4 + 2e-4 * random.random()
        vibration = "" if place % 10 == 0 else f"{clearance * 3e4 + random.random():.2f}"
        rows.append([f"{clearance:.2e}", 1_000_000 + 100 * place, vibration, str(clearance > 2.8e-4 and place % 4 > 0)])
    return write(["clearance_m", "inlet_pressure [Pa]", "vibration_mm_s", "failure"], rows)


@pytest.fixture
def ugly_pump(write: Callable[..., Path]) -> Path:
    """A pump's export: an index without header, repeated headers, reserved words, sentinels, errors, comments, yes and no."""
    random.seed(3)
    rows: list[list[object]] = []
    for place in range(ROWS):
        flow = -999 if place % 50 == 7 else round(20 + 5 * random.random(), 1)
        temperature = "ERR" if place % 100 == 3 else round(40 + 10 * random.random(), 2)
        rows.append(
            [
                place, flow, temperature, 1, 2, place % 3, round(random.random(), 3), f'"seen by {place}, ok"', 7.0,
                "yes" if place % 17 == 0 else "no", round(10 * random.random(), 1), "",
            ]
        )  # fmt: skip
    header = [
        "", " Flow-Rate (l/min) ", "oilTempC", "Temp", "temp ", "class", "min", "comment", "supply voltage",
        "Failed?", "\u6e29\u5ea6", "spare",
    ]  # fmt: skip
    return write(header, rows)


@pytest.fixture
def leaking_line(write: Callable[..., Path]) -> Path:
    """A line with batches: the kind of failure as text, remaining life, a failure mode, a second date, a serial number."""
    random.seed(4)
    rows: list[list[object]] = []
    for place in range(ROWS):
        failed = place % 20 == 19
        kind = ("jam", "heat")[place % 40 == 19] if failed else "none"
        rows.append(
            [
                f"2024-03-{1 + place // 20:02}T{place % 20:02}:00:00", f"2023-01-{1 + place % 9:02}",
                f"B{place // 20}", 1 + place % 4,
                round(5 + random.random(), 2), 19 - place % 20, kind, int(kind == "jam"), int(failed),
                f"SN-{place * 7919 % 1000}",
            ]
        )  # fmt: skip
    header = [
        "timestamp", "last service date", "batch", "Program", "load kN", "RUL", "failure type", "jam", "target", "part serial",
    ]  # fmt: skip
    return write(header, rows)


@pytest.fixture
def turbine_parquet(tmp_path: Path) -> Path:
    """Engines with cycles, in Parquet: a dictionary, floats with noise, a boolean input, a list column, a boolean label."""
    random.seed(5)
    engines, cycles = 20, 20
    numbers = [random.random() for _ in range(engines * cycles)]
    table = pa.table(
        {
            "engine": [engine for engine in range(engines) for _ in range(cycles)],
            "cycle": [cycle for _ in range(engines) for cycle in range(1, cycles + 1)],
            "fuel": pa.array([("A", "B")[place % 2] for place in range(engines * cycles)]).dictionary_encode(),
            "T2 [degR]": [518 + math.sqrt(number) for number in numbers],
            "bleed open": [number > 0.5 for number in numbers],
            "spectrum": [[1.0, 2.0]] * (engines * cycles),
            "fails soon": [cycle > cycles - 4 for _ in range(engines) for cycle in range(1, cycles + 1)],
        }
    )
    path = tmp_path / "turbine.parquet"
    pq.write_table(table, path)
    return path
