"""Make canonical names and labels from headers."""

import keyword
import re
import unicodedata
from collections.abc import Iterable

from ..machine.expression import RESERVED
from ..machine.names import FIXED_NAMES
from ..printable import printable

_MAX_CHARACTERS = 50
_TRANSLITERATED = str.maketrans(
    {
        "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae",
        "ł": "l", "Ł": "L", "µ": "u", "μ": "u", "²": "2", "³": "3", "%": " percent ", "°": " deg",
    }
)  # fmt: skip


def canonical_name(header: str, taken: Iterable[str] = ()) -> str:
    """A name that a description allows and that is not `taken`: "Öldruck (bar)" becomes oeldruck_bar."""
    plain = unicodedata.normalize("NFKD", header.translate(_TRANSLITERATED)).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", plain).lower())
    name = "_".join(words)[:_MAX_CHARACTERS].strip("_")
    if not name or name[0].isdigit():
        name = f"column_{name}".strip("_")
    if name in RESERVED or keyword.iskeyword(name) or name in FIXED_NAMES:
        name = f"{name}_value"
    used, base, number = set(taken), name, 2
    while name in used:
        name, number = f"{base}_{number}", number + 1
    return name


def label_of(text: str) -> str:
    """A header without its unit as a label for people: "air_temp" becomes "Air temp"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", re.sub(r"[_\s]+", " ", text)).strip()
    shown = printable(spaced)[:100].strip()
    return shown[:1].upper() + shown[1:] or "Column"


def has_word(header: str, words: Iterable[str]) -> bool:
    """Whether one of the words of a header is one of `words`: "machineID" has machine and id."""
    return not set(words).isdisjoint(words_of(header))


def words_of(header: str) -> list[str]:
    """The words of a header in small letters, each also without a plural s."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header)
    words = re.findall(r"[a-z]+", spaced.lower())
    return [*words, *(word[:-1] for word in words if word.endswith("s"))]
