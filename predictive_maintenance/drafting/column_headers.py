"""Name the described columns, and choose headers that match each column of the files and no other."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..machine.header_matching import header_key
from ..machine.names import CODE_SUFFIX
from ..printable import printable
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
    """Names columns: `names` has the canonical names by header.

    `written_out` are headers that are listed in full, because they do not match in a shorter form. `taken` are names of
    something else, such as tables.
    """

    def __init__(self, headers: Iterable[str], written_out: Iterable[str], taken: Iterable[str] = ()) -> None:
        distinct = list(dict.fromkeys(headers))
        self._keys = {header_key(header) for header in distinct}
        self._short_keys = Counter(header_key(split_unit(header).text) for header in distinct)
        self._written_out = set(written_out)
        self._taken = set(taken)
        self._used_keys: set[str] = set()
        self.names: dict[str, str] = {}

    def fixed(self, header: str, name: str) -> NamedColumn:
        """A column whose canonical name every machine has, such as reading_id."""
        return self._named(header, name, HeaderUnit(header), split_unit(header).text)

    def plain(self, header: str) -> NamedColumn:
        """A column without a unit."""
        return self._named(header, self._new_name(header, header), HeaderUnit(header), header)

    def category(self, header: str) -> NamedColumn:
        """A category. The name of the feature with its codes is not given to another column."""
        named = self.plain(header)
        self._taken.add(named.name + CODE_SUFFIX)
        return named

    def sensor(self, header: str) -> NamedColumn:
        """A column with the unit in its header."""
        found = split_unit(header)
        name = self._new_name(header, f"{found.text} {_UNITS_IN_NAMES.get(found.unit, found.unit)}")
        return self._named(header, name, found, found.text)

    def _new_name(self, header: str, text: str) -> str:
        """A name that no other column has, and that does not match the header of another one."""
        taken = self._taken | {name.removesuffix(CODE_SUFFIX) for name in self._taken}
        while not self._is_free(header_key(name := canonical_name(text, taken)), header):
            taken.add(name)
        self._taken.add(name)
        return name

    def _is_free(self, key: str, header: str) -> bool:
        return key not in self._used_keys and (key not in self._keys or key == header_key(header))

    def _named(self, header: str, name: str, found: HeaderUnit, text: str) -> NamedColumn:
        self.names[header] = name
        headers = self._headers(header, name, found)
        return NamedColumn(name=name, label=label_of(text), headers=headers, unit=found.unit, doubt=found.doubt)

    def _headers(self, header: str, name: str, found: HeaderUnit) -> tuple[str, ...]:
        """The header without its unit, if no other header is like it; else the header, unless the name matches it."""
        key, short = header_key(name), header_key(found.text)
        headers = []
        if found.unit and short and short != key and self._short_keys[short] == 1 and self._is_free(short, header):
            headers.append(printable(found.text))
        if header in self._written_out or (not headers and header_key(header) != key):
            headers.append(printable(header))
        self._used_keys |= {key, *map(header_key, headers)}
        return tuple(headers)
