"""What scoring the files of a data set needs, in each process that scores some of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import SourceError
from ..ingestion.part_files import PartFile, local_copy
from ..scorer.scoring import Scorer
from .files import Aliases, read_valid
from .further_tables import NO_TABLES, FurtherTables


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What scoring each file needs: the files of a model version, its number, the tables, and the URI of the output folder."""

    model_files: Mapping[str, bytes]
    version: str
    aliases: Aliases
    output: str
    tables: FurtherTables = NO_TABLES
    overwrite: bool = False

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer.from_files(self.model_files)

    @cached_property
    def digest(self) -> str:
        """A hash of all that the results depend on besides the readings."""
        content = hashlib.sha256(json.dumps([self.version, dict(self.aliases)], default=list).encode())
        tables = {f"events {name}": pd.DataFrame(table) for name, table in self.tables.events.items()}
        tables |= {f"attributes {table.name}": table.frame for table in self.tables.attributes}
        for name, table in sorted(tables.items()):
            content.update(name.encode() + pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        for name, file in sorted(self.model_files.items()):
            content.update(name.encode() + hashlib.sha256(file).digest())
        return content.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        """All but the scorer, whose ONNX session cannot be pickled: each process makes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "scorer"}


@contextmanager
def readable(part: PartFile) -> Iterator[Path]:
    """The file on this machine. Errors in the block name the file instead of its copy."""
    path = None
    try:
        with local_copy(part) as path:
            yield path
    except SourceError as error:
        raise SourceError(str(error).replace(str(path), str(part)), transient=error.transient) from None


def valid_rows(job: ScoringJob, part: PartFile) -> pd.DataFrame:
    """The rows of a file that scoring would not reject. Their index is their place."""
    with readable(part) as path:
        return read_valid(path, job.scorer.machine, job.aliases, job.tables)
