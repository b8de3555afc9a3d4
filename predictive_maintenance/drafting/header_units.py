"""Find the unit at the end of a header: `Torque [Nm]`, `pressure (bar)`, `oil_temp_c`."""

import re
from dataclasses import dataclass

from ..machine.units import dimension_of

_SPELLINGS = {
    "c": "°C", "degc": "°C", "deg c": "°C", "celsius": "°C", "f": "°F", "degf": "°F", "deg f": "°F", "fahrenheit": "°F",
    "k": "K", "kelvin": "K", "rpm": "rpm", "u/min": "rpm", "1/min": "rpm", "hz": "Hz", "khz": "kHz", "nm": "Nm", "knm": "kNm",
    "ncm": "Ncm", "s": "s", "sec": "s", "seconds": "s", "min": "min", "mins": "min", "minutes": "min", "h": "h", "hr": "h",
    "hrs": "h", "hours": "h", "days": "day", "pa": "Pa", "hpa": "hPa", "kpa": "kPa", "bar": "bar", "mbar": "mbar", "psi": "psi",
    "um": "µm", "mm": "mm", "cm": "cm", "m": "m", "mm_s": "mm/s", "mms": "mm/s", "m_s": "m/s", "mps": "m/s", "mm_s2": "mm/s²",
    "m_s2": "m/s²", "w": "W", "kw": "kW", "kwh": "kWh", "a": "A", "ma": "mA", "v": "V", "mv": "mV", "kv": "kV", "n": "N",
    "kn": "kN", "kg": "kg", "l_min": "l/min", "lpm": "l/min", "m3_h": "m³/h", "pct": "%", "percent": "%", "ppm": "ppm",
    "ohm": "ohm", "ms": "ms",
}  # fmt: skip
"""Units by the way they are written in names, where case and signs are lost."""

_QUANTITIES = {
    "°C": "temp", "°F": "temp", "K": "temp", "A": "current|amp|load", "V": "volt|tension", "W": "power|load",
    "N": "force|load|thrust", "s": "time|duration|age|period", "h": "time|duration|age|run|operat|life|since|wear",
    "min": "time|duration|age|run|wear|life|since", "m": "length|height|level|depth|clearance|distance|gap|position|width|stroke",
}  # fmt: skip
"""What a name must be about for a short ending to be its unit: `oil_temp_c` has one, `phase_c` has none."""


_HAS_UNIT_SIGN = re.compile("[/%°²³]")
"""A last word with one of these is a unit if it is known as one, also without brackets: `Vibration mm/s`, `Humidity %`."""


@dataclass(frozen=True)
class HeaderUnit:
    """A header without its unit. `unit` is '' if there is none; `doubt` says what is not a unit for sure."""

    text: str
    unit: str = ""
    doubt: str = ""


def split_unit(header: str) -> HeaderUnit:
    """Split a header into text and unit."""
    header = " ".join(header.split())
    if bracket := re.fullmatch(r"([^\[(]*[^\[(\s])\s*[\[(]([^\[\]()]*)[\])]", header):
        return _in_brackets(bracket[1], bracket[2].strip())
    in_camel_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header)
    for words in (re.split(r"[_ .-]+", text) for text in (header, in_camel_case)):
        for count in (2, 1):
            unit = _SPELLINGS.get("_".join(words[-count:]).lower())
            text = " ".join(words[:-count])
            if count == 1 and not unit and _HAS_UNIT_SIGN.search(words[-1]) and _is_known(words[-1]):
                unit = words[-1]
            if unit and text.strip():
                return _ending(header, text, unit, " ".join(words[-count:]))
    return HeaderUnit(header)


def _in_brackets(text: str, written: str) -> HeaderUnit:
    if not written or written in ("-", "1"):
        return HeaderUnit(text)
    if written == "min" and not _is_about(text, "min"):
        return HeaderUnit(text, doubt="min may be minutes or a minimum; no unit is set")
    unit = _SPELLINGS.get(written.lower(), written)
    # "ms" and "Ms" differ, so a spelling that pint knows is kept unless people mean something else by it.
    for candidate in (unit, written):
        if _is_known(candidate):
            return HeaderUnit(text, candidate)
    return HeaderUnit(text, doubt=f"{written!r} is not a known unit; no unit is set")


def _ending(header: str, text: str, unit: str, written: str) -> HeaderUnit:
    if unit in _QUANTITIES and not _is_about(text, unit):
        return HeaderUnit(header, doubt=f"is {written!r} at the end of the header a unit ({unit})? No unit is set")
    return HeaderUnit(text, unit)


def _is_about(text: str, unit: str) -> bool:
    return re.search(_QUANTITIES[unit], text, re.IGNORECASE) is not None


def _is_known(unit: str) -> bool:
    try:
        dimension_of(unit, ())
    except ValueError:
        return False
    return len(unit) <= 30 and unit.isprintable()
