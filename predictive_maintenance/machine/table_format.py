"""The format of files in which it cannot be detected: space-separated ones and ones without a header."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..strict_model import StrictModel
from .names import Text

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
Separator = Literal["comma", "semicolon", "tab", "pipe", "whitespace"]


class TableFormat(StrictModel):
    """How CSV files of readings are written. Parquet files and databases have their own format."""

    separator: Annotated[
        Separator | None,
        Field(description="What separates cells. Default: found in the file. whitespace: any number of spaces."),
    ] = None
    columns: Annotated[
        tuple[Text, ...],
        Field(description="The headers of files that have none. Default: the first line is the header."),
    ] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.separator is None and not self.columns:
            raise ValueError("separator or columns is missing")
        if repeated := [column for place, column in enumerate(self.columns) if column in self.columns[:place]]:
            raise ValueError(f"columns: {repeated[0]!r} is listed twice")
        return self
