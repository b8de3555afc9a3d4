"""Two plants that have nothing in common with the machines of the project: German presses by time, locomotives by hours."""

from pathlib import Path

import numpy as np
import pandas as pd

START = pd.Timestamp("2024-03-01")


def write_presses(folder: Path) -> None:
    """Eight presses, every two hours for 121 days: semicolons, decimal commas, dates with dots, other headers in each table."""
    rng = np.random.default_rng(3)
    readings, faults, maintenance, failures = [], [], [], []
    for number in range(8):
        name, wear, minutes = f"PR-{number:02}", number / 12, 0
        while minutes < 121 * 1440:
            wear += 0.0025
            readings.append([name, _date(minutes), _comma(200 - 30 * wear + rng.normal()), _comma(45 + 25 * wear**2)])
            if rng.random() < 0.02:
                faults.append([name, _date(minutes + 7), ("F101 Druck", "F205 Temperatur")[number % 2]])
            if wear > 1:
                failures.append([name, _date(minutes + 20), ("Ventil", "Dichtung")[number % 2]])
                maintenance.append([name, _date(minutes + 300), ("Reparatur", "Austausch")[number % 2]])
                wear = 0
                minutes += 480
            minutes += 110 + int(rng.integers(20))
    master = [[f"PR-{number:02}", 2005 + number % 4, "AB"[number % 2], f"{13 + number}.02.2010"] for number in range(8)]
    _write(folder / "messwerte.csv", ["Anlage", "Zeitstempel", "Öldruck (bar)", "Öltemperatur [°C]"], readings)
    _write(folder / "stoermeldungen.csv", ["Anlagen-Nr", "Gemeldet am", "Meldung"], faults)
    _write(folder / "wartung.csv", ["Anlage", "Datum", "Art"], maintenance)
    _write(folder / "ausfaelle.csv", ["Anlage", "Zeitpunkt", "Bauteil"], failures)
    _write(folder / "stammdaten.csv", ["Anlage", "Baujahr", "Typ", "Inbetriebnahme"], master)


def write_locomotives(folder: Path) -> None:
    """Ten locomotives by operating hours: readings as Parquet, machines that are numbers, and faults that are codes."""
    rng = np.random.default_rng(4)
    readings, faults, repairs, breakdowns = [], [], [], []
    for number in range(4000, 4010):
        hours, wear = float(number % 7), number % 5 / 8
        for _ in range(300):
            hours, wear = round(hours + 2 + rng.exponential(6), 1), wear + 0.008
            gap = rng.random() < 0.05
            readings.append(
                (number, hours, 80 + 40 * wear**2, None if gap else round(1.5 + wear, 3), "yes" if wear > 0.9 else "no")
            )
            if rng.random() < 0.05:
                faults.append((number, round(hours + 0.5, 1), int(rng.choice([17, 23, 42]))))
            if wear > 1:
                breakdowns.append((number, round(hours + 1, 1)))
                repairs.append((number, round(hours + 1.5, 1), ("wheelset", "brake")[number % 2]))
                hours, wear = hours + 2, 0
    columns = ["loco", "operating_hours", "axle_temp_c", "vib_g", "fails_soon"]
    pd.DataFrame(readings, columns=columns).to_parquet(folder / "log.parquet")
    pd.DataFrame(faults, columns=["loco", "hours_at_fault", "code"]).to_csv(folder / "faults.csv", index=False)
    pd.DataFrame(repairs, columns=["loco", "hours_at_repair", "part"]).to_csv(folder / "repairs.csv", index=False)
    pd.DataFrame(breakdowns, columns=["loco", "hours"]).to_csv(folder / "breakdowns.csv", index=False)
    locos = [
        (number, 1200 + 300 * (number % 3), f"depot {'NS'[number % 2]}", f"SN{number}") for number in range(4000, 4010)
    ]
    pd.DataFrame(locos, columns=["loco", "power_kw", "home", "serial"]).to_csv(folder / "locos.csv", index=False)


PRESS_TABLES = {name: f"{name}.csv" for name in ("stoermeldungen", "wartung", "ausfaelle", "stammdaten")}
LOCOMOTIVE_TABLES = {name: f"{name}.csv" for name in ("faults", "repairs", "breakdowns", "locos")}


def _date(minutes: int) -> str:
    return (START + pd.Timedelta(minutes=minutes)).strftime("%d.%m.%Y %H:%M")


def _comma(number: float) -> str:
    return f"{number:.2f}".replace(".", ",")


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    path.write_text("\n".join(";".join(map(str, cells)) for cells in (header, *rows)) + "\n", encoding="utf-8")
