"""Data sources, as given in params.yaml or with --sources."""

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from ..errors import ConfigError
from ..strict_model import StrictModel
from .model_validation import validated
from .uris import redact, written_out_secret


def _without_secret(uri: str) -> str:
    if secret := written_out_secret(uri):
        raise ValueError(
            f"{redact(uri)} contains {secret}, which would be stored with the run: set an environment variable and write "
            "${NAME} instead"
        )
    return uri


class RemoteCopy(StrictModel):
    """A file tracked by DVC, as stored in DVC's remote: remote machines read it instead of the local file.

    `dvc_md5` is the checksum of what DVC tracks: the file, or the folder that contains it.
    """

    path: str
    url: str
    md5: str
    dvc_md5: str
    endpoint_url: str | None = None


_TABLE_NAME = r"^[a-z][a-z0-9_]+$"
READINGS = "readings"
"""The table of a source that names none."""


class Source(StrictModel):
    """One data source, the table that its rows belong to, and how they are merged with those of the other sources.

    `table` is `readings`, or a table of events or machine attributes in the description. Readings `for_training_only` are never
    held out, and nothing is scored, selected or compared on them. `copies` are read instead of the files that `uri` names. A
    launch on remote machines sets them.
    """

    uri: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_without_secret)]
    merge: Literal["append", "join"] = "append"
    table: Annotated[str, StringConstraints(pattern=_TABLE_NAME)] = READINGS
    for_training_only: bool = False
    copies: Annotated[tuple[RemoteCopy, ...], Field(strict=False)] = ()  # a list in JSON and YAML

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a plain URI, which appends, or `join:URI`, which joins by reading id, `train:URI`, or `TABLE:URI`.

        Raises ConfigError.
        """
        return validated(cls, _source(text), "the source")

    @model_validator(mode="after")
    def _only_readings_are_joined(self) -> Self:
        if self.merge == "join" and self.table != READINGS:
            raise ValueError(f"the table {self.table} cannot be joined by reading id: remove merge: join")
        return self

    @model_validator(mode="after")
    def _only_appended_readings_are_for_training_only(self) -> Self:
        if self.for_training_only and (self.merge == "join" or self.table != READINGS):
            raise ValueError(
                "only a source that appends readings can be for training only: remove for_training_only: true"
            )
        return self

    def __str__(self) -> str:
        """The source as parse_sources reads it, without secrets."""
        prefix = "join:" if self.merge == "join" else f"{self.table}:" if self.table != READINGS else ""
        return ("train:" if self.for_training_only else prefix) + redact(self.uri)


def _source(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if (joined := text.removeprefix("join:")) != text:
        return {"uri": joined, "merge": "join"}
    if (added := text.removeprefix("train:")) != text:
        return {"uri": added, "for_training_only": True}
    # A prefix of one letter is a Windows drive, and one before :// is a scheme.
    if prefixed := re.fullmatch(rf"({_TABLE_NAME[1:-1]}):(?!//)(.+)", text, re.DOTALL):
        return {"uri": prefixed[2], "table": prefixed[1]}
    return {"uri": text}


class DataSettings(StrictModel):
    """The sources, and the number of readings that are worked on at a time."""

    sources: tuple[Annotated[Source, BeforeValidator(_source)], ...]
    rows_per_part: Annotated[int, Field(ge=1)] = 1_000_000

    @model_validator(mode="after")
    def _first_source_appends(self) -> Self:
        if not self.sources:
            raise ValueError("sources: at least one source is required")
        readings = [source for source in self.sources if source.table == READINGS]
        if not readings:
            tables = ", ".join(dict.fromkeys(source.table for source in self.sources))
            raise ValueError(f"sources: a source of readings is missing: all of them are of the tables {tables}")
        if readings[0].merge != "append":
            raise ValueError("the first source must be 'append': there are no rows to join to")
        if all(source.for_training_only for source in readings if source.merge == "append"):
            raise ValueError(
                "sources: all readings are for training only: a source of readings to evaluate on is missing"
            )
        return self

    @property
    def training_only(self) -> frozenset[int]:
        """The places of the sources for training only, which are the `source_index` of their rows."""
        return frozenset(place for place, source in enumerate(self.sources) if source.for_training_only)


def parse_sources(text: str) -> tuple[Source, ...]:
    """Parse sources separated by commas, or a JSON list if one of them contains a comma.

    `join:` marks one that joins, `train:` one for training only, `errors:` one of the table `errors`.

    Raises ConfigError, which shows no password.
    """
    return validated(DataSettings, {"sources": _texts(text, "--sources")}, "--sources").sources


def parse_tables(text: str) -> tuple[Source, ...]:
    """Parse sources of tables other than the readings, in the format of `parse_sources`. Raises ConfigError."""
    parsed = [validated(Source, _source(part), "--tables") for part in _texts(text, "--tables")]
    if readings := [source for source in parsed if source.table == READINGS]:
        raise ConfigError(
            f"--tables: {readings[0]} names no table: write the name before it, such as errors:{readings[0]}"
        )
    return tuple(parsed)


def _texts(text: str, option: str) -> list[Any]:
    """The parts of an option with sources."""
    if not text.lstrip().startswith("["):
        return [part for part in text.split(",") if part.strip()]
    try:
        parts = json.loads(text)
    except ValueError:
        raise ConfigError(
            f'{option}: starts with [ but is not a JSON list such as ["a.csv", "join:b.csv"]; '
            "write ./[... for a file whose name starts with ["
        ) from None
    return list(parts)
