"""Data sources, as given in params.yaml or with --sources."""

import json
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


class Source(StrictModel):
    """One data source, and how its rows are merged with those of the other sources.

    `copies` are read instead of the files that `uri` names. A launch on remote machines sets them.
    """

    uri: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_without_secret)]
    merge: Literal["append", "join"] = "append"
    copies: Annotated[tuple[RemoteCopy, ...], Field(strict=False)] = ()  # a list in JSON and YAML

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `join:URI`, which joins by reading id, or a plain URI, which appends. Raises ConfigError."""
        return validated(cls, _source(text), "the source")


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
            raise ValueError("sources: at least one source is required")
        if self.sources[0].merge != "append":
            raise ValueError("the first source must be 'append': there are no rows to join to")
        return self


def parse_sources(text: str) -> tuple[Source, ...]:
    """Parse sources separated by commas, or a JSON list if one of them contains a comma; `join:` marks one that joins.

    Raises ConfigError, which shows no password.
    """
    sources: Any = [part for part in text.split(",") if part.strip()]
    if text.lstrip().startswith("["):
        try:
            sources = json.loads(text)
        except ValueError:
            raise ConfigError(
                '--sources: starts with [ but is not a JSON list such as ["a.csv", "join:b.csv"]; '
                "write ./[... for a file whose name starts with ["
            ) from None
    return validated(DataSettings, {"sources": sources}, "--sources").sources
