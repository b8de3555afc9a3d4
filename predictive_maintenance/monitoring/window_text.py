"""The time of a window as text, for the commands and for the dashboard, which imports no store."""

from datetime import UTC, datetime

_SHORT_SECONDS = 3_600


def window_text(begins: float, ends: float) -> str:
    """Begin and end in UTC, from seconds since 1970: to the second if they could be equal to the minute."""
    precision = "%Y-%m-%d %H:%M:%S" if ends - begins < _SHORT_SECONDS else "%Y-%m-%d %H:%M"
    return " to ".join(datetime.fromtimestamp(time, UTC).strftime(precision) for time in (begins, ends))
