"""Where rows come from, as it is written in params.yaml or behind --sources."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from ..errors import ConfigError
from .strict_model import StrictModel, validated
from .uris import redact, written_out_secret


def _without_secret(uri: str) -> str:
    if secret := written_out_secret(uri):
        raise ValueError(
            f"{redact(uri)} holds {secret}, which would be kept with the run: put it into the environment and write "
            "${NAME} in its place"
        )
    return uri


class RemoteCopy(StrictModel):
    """A file under DVC as DVC's remote holds it, for a machine that does not have the file itself.

    `dvc_md5` is that of what is tracked: of the file, or of a folder that holds it.
    """

    path: str
    url: str
    md5: str
    dvc_md5: str
    endpoint_url: str | None = None


class Source(StrictModel):
    """One place that rows come from, and how they meet the rows of the others.

    `copies` are read in place of the files that `uri` names; a launch on rented machines fills them in.
    """

    uri: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_without_secret)]
    merge: Literal["append", "join"] = "append"
    copies: Annotated[tuple[RemoteCopy, ...], Field(strict=False)] = ()  # a list in JSON and YAML

    @classmethod
    def parse(cls, text: str) -> Self:
        """`join:URI` joins by reading id; a plain URI appends."""
        return cls(**_source(text))


def _source(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    joined = value.strip().removeprefix("join:")
    return {"uri": joined, "merge": "append" if joined == value.strip() else "join"}


class DataSettings(StrictModel):
    sources: tuple[Annotated[Source, BeforeValidator(_source)], ...]

    @model_validator(mode="after")
    def _first_source_appends(self) -> Self:
        if not self.sources:
            raise ValueError("sources: at least one is needed")
        if self.sources[0].merge != "append":
            raise ValueError("the first source must be 'append': there is nothing yet to join to")
        return self


def parse_sources(text: str) -> tuple[Source, ...]:
    """Sources separated by commas or, where one holds a comma, as a JSON list; `join:` before one that joins.

    Raises ConfigError, which shows no password.
    """
    sources: Any = [part for part in text.split(",") if part.strip()]
    if text.lstrip().startswith("["):
        try:
            sources = json.loads(text)
        except ValueError:
            raise ConfigError(
                '--sources: begins with [ but is no JSON list such as ["a.csv", "join:b.csv"]; '
                "a file whose name begins so is written ./[..."
            ) from None
    return validated(DataSettings, {"sources": sources}, "--sources").sources
