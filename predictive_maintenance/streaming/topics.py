"""Templates of topics: which messages are wanted, and which fields their topics have."""

import re
from dataclasses import dataclass

from ..config.sources import READINGS
from ..errors import ConfigError
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID

_FIELD = re.compile(r"\{([^{}/+#]+)\}")


@dataclass(frozen=True)
class Topic:
    """Topics of messages with the rows of `table`: READINGS, or a table of events.

    `subscription` is the topic filter for the broker, `pattern` has a group for each of `fields`.
    """

    table: str
    subscription: str
    fields: tuple[str, ...]
    pattern: re.Pattern[str]

    def values(self, topic: str) -> dict[str, str] | None:
        """The values of the fields in `topic`; None if it is none of these topics."""
        found = self.pattern.fullmatch(topic)
        return dict(zip(self.fields, found.groups(), strict=True)) if found else None


def parse_topic(text: str, machine: Machine) -> Topic:
    """Parse `plant/{machine_id}/telemetry`, or `TABLE:` before it. `{...}` and `+` are one level, `#` is all further ones.

    Raises ConfigError.
    """
    table, template = _split_table(text, machine)
    names = (MACHINE_ID, *(machine.category_names if table == READINGS else ()))
    levels = template.split("/")
    fields: list[str] = []
    patterns: list[str] = []
    for place, level in enumerate(levels):
        if field := _FIELD.fullmatch(level):
            if field[1] not in names or field[1] in fields:
                raise ConfigError(f"--topic {text}: {level} must be one of {_shown(names)}, each once")
            fields.append(field[1])
            patterns.append("([^/]+)")
        elif level == "#" and place == len(levels) - 1:
            patterns.append(".*")
        elif level == "+":
            patterns.append("[^/]*")
        elif set(level) & set("{}+#\0") or (not place and level == "$share"):
            raise ConfigError(f"--topic {text}: a level is a text, {{FIELD}} or +, and # may be the last one")
        else:
            patterns.append(re.escape(level))
    subscription = "/".join("+" if _FIELD.fullmatch(level) else level for level in levels)
    pattern = "/".join(patterns).removesuffix("/.*") + ("(?:/.*)?" if patterns[-1] == ".*" and len(levels) > 1 else "")
    return Topic(table, subscription, tuple(fields), re.compile(pattern, re.DOTALL))


def _split_table(text: str, machine: Machine) -> tuple[str, str]:
    before, colon, template = text.partition(":")
    if not colon or "/" in before:
        before, template = READINGS, text
    tables = (READINGS, *machine.description.events)
    if before not in tables:
        raise ConfigError(
            f"--topic {text}: {before!r} is no table: begin with {' or '.join(f'{name}:' for name in tables)}"
        )
    if not template:
        raise ConfigError(f"--topic {text}: the topic is empty: write plant/{{machine_id}}/telemetry")
    return before, template


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
