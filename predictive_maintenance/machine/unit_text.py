"""Units as people write them. Programs get a unit as the description has it.

It needs no unit library: pint would reorder the parts of a unit, and is not in the image that serves.
"""

import re

_TEMPERATURE = re.compile(r"(?<!\w)deg([CFR])(?!\w)")
_MICRO = re.compile(r"(?<!\w)u(?=[a-zA-Z](?!\w))")
_MARKED_POWER = re.compile(r"\s*(?:\*\*|\^)\s*\+?(-?\d)(?![\w.])")
_BARE_POWER = re.compile(r"(?<!\w)([kdcmµ]?m|s|in|ft)([23])(?![\w.])")
"""As in m3/h. Not any letters and a digit: the unit may be the name of something, such as H2."""
_TIMES = re.compile(r"\s*(?<!\*)\*(?!\*)\s*")
"""Not in a power that stays as it is, such as m**0.5."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def unit_text(unit: str) -> str:
    """A unit for display: °C for degC, m³/h for m^3/h or m3/h, µm for um, N·m for N*m."""
    text = _MICRO.sub("µ", _TEMPERATURE.sub(r"°\1", unit))
    text = _MARKED_POWER.sub(lambda power: power[1].translate(_SUPERSCRIPTS), text)
    text = _BARE_POWER.sub(lambda power: power[1] + power[2].translate(_SUPERSCRIPTS), text)
    return _TIMES.sub("·", text)
