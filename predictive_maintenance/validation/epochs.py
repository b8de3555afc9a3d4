"""Times as numbers that count from 1970."""

from datetime import UTC, datetime, timedelta

EPOCHS_US = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}
PLAUSIBLE_US = (6.31152e14, 4.1339808e15)  # 1990 to 2100, which excludes row counters and day numbers of spreadsheets

_START = datetime(1970, 1, 1, tzinfo=UTC)


def time_of_number(value: float) -> datetime | None:
    """The UTC time that a number means; its magnitude determines the unit. None if no unit gives a time from 1990 to 2100."""
    first, last = PLAUSIBLE_US
    for scale in EPOCHS_US.values():
        if first / scale <= value < last / scale:
            return _START + timedelta(microseconds=round(value * scale))
    return None
