"""Name the described columns, and choose headers that match each column of the files and no other."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..machine.header_matching import header_key
from ..machine.names import CODE_SUFFIX
from .column_names import canonical_name, label_of
from .header_units import HeaderUnit, split_unit

_UNITS_IN_NAMES = {"°C": "degc", "°F": "degf", "°": "deg", "%": "percent"}


@dataclass(frozen=True, kw_only=True)
class NamedColumn:
    """A column's canonical name, label, headers and unit in a draft. `doubt` says what in the header may be a unit."""

    name: str
    label: str
    headers: tuple[str, ...]
    unit: str = ""
    doubt: str = ""


class ColumnNamer:
    """Names columns. `written_out` are headers that are listed in full, because they do not match in a shorter form."""

    def __init__(self, headers: Iterable[str], written_out: Iterable[str]) -> None:
        distinct = list(dict.fromkeys(headers))
        self._keys = {header_key(header) for header in distinct}
        self._short_keys = Counter(header_key(split_unit(header).text) for header in distinct)
        self._written_out = set(written_out)
        self._taken: set[str] = set()

    def fixed(self, header: str, name: str) -> NamedColumn:
        """A column whose canonical name every machine has, such as reading_id."""
        return NamedColumn(
            name=name, label=label_of(split_unit(header).text), headers=self._headers(header, name, HeaderUnit(""))
        )

    def plain(self, header: str) -> NamedColumn:
        """A column without a unit."""
        name = self._name(header)
        return NamedColumn(name=name, label=label_of(header), headers=self._headers(header, name, HeaderUnit("")))

    def category(self, header: str) -> NamedColumn:
        """A category. The name of the feature with its codes is not given to another column."""
        named = self.plain(header)
        self._taken.add(named.name + CODE_SUFFIX)
        return named

    def sensor(self, header: str) -> NamedColumn:
        """A column with the unit in its header."""
        found = split_unit(header)
        name = self._name(f"{found.text} {_UNITS_IN_NAMES.get(found.unit, found.unit)}")
        return NamedColumn(
            name=name,
            label=label_of(found.text),
            headers=self._headers(header, name, found),
            unit=found.unit,
            doubt=found.doubt,
        )

    def _name(self, text: str) -> str:
        codes = {name.removesuffix(CODE_SUFFIX) for name in self._taken}
        name = canonical_name(text, self._taken | codes)
        self._taken.add(name)
        return name

    def _headers(self, header: str, name: str, found: HeaderUnit) -> tuple[str, ...]:
        """The header without its unit, if no other header is like it; else the header, unless the name matches it."""
        shown = " ".join(header.split())
        headers = []
        short = header_key(found.text)
        if (
            found.unit
            and short
            and short not in self._keys
            and self._short_keys[short] == 1
            and short != header_key(name)
        ):
            headers.append(found.text)
        if header in self._written_out or (not headers and header_key(header) != header_key(name)):
            headers.append(shown)
        return tuple(headers)


def unmatched(expected: Sequence[str], matched: Iterable[str]) -> list[str]:
    """The headers that a description does not match."""
    found = set(matched)
    return [header for header in expected if header not in found]
