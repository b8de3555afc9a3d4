"""Scoring, ranking and filtering of a file of readings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.api_client import ApiClient

MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
"""Media types by file extension."""
ID_COLUMNS = ("machine_id", "reading_id", "timestamp", "counter")
"""Columns that identify a reading. Each is optional."""


@dataclass(frozen=True)
class Fleet:
    """A scored file.

    `ranked` holds the scored readings with their row in the file, the highest failure probability first. `rejected` holds the
    other rows with the reason.
    """

    ranked: pd.DataFrame
    rejected: pd.DataFrame
    version: str

    @property
    def id_columns(self) -> list[str]:
        """The ID_COLUMNS that the file has."""
        return [name for name in ID_COLUMNS if name in self.ranked]


def score_fleet(api: ApiClient, content: bytes, extension: str) -> Fleet:
    """Score a file. Raises ApiError if the API rejects the whole file."""
    table = api.score_table(content, MEDIA_TYPES[extension]).to_pandas()
    scored = table["rejected"].isna()
    ranked = table[scored].drop(columns="rejected")
    ranked = ranked.sort_values(["failure_probability", "row"], ascending=[False, True], ignore_index=True)
    return Fleet(ranked, table[~scored].reset_index(drop=True), str(table["model_version"].iloc[0]))


def latest_per_machine(ranked: pd.DataFrame) -> pd.DataFrame | None:
    """Return the latest reading of each machine, or None if a machine or an ISO 8601 time is missing."""
    if not {"machine_id", "timestamp"} <= set(ranked):
        return None
    times = pd.to_datetime(ranked["timestamp"], format="ISO8601", errors="coerce", utc=True)
    if times.isna().any() or ranked["machine_id"].isna().any():
        return None
    latest = times.groupby(ranked["machine_id"]).idxmax()
    return ranked.loc[latest.sort_values()].reset_index(drop=True)


def display_name(reading: Mapping[str, Any]) -> str:
    """Return the machine's id, otherwise the reading's id, otherwise an empty string."""
    return next((str(reading[name]) for name in ("machine_id", "reading_id") if pd.notna(reading.get(name))), "")


def filter_readings(
    ranked: pd.DataFrame, *, risks: list[str], categories: Mapping[str, list[str]], limits: list[str], text: str
) -> pd.DataFrame:
    """Return the readings that match every filter. An empty filter matches all.

    `categories` has values by the name of the category; `text` is searched in ID_COLUMNS.
    """
    matches = pd.Series(True, index=ranked.index)
    if risks:
        matches &= ranked["risk_level"].isin(risks)
    for name, values in categories.items():
        if values:
            matches &= ranked[name].isin(values)
    for limit in limits:
        matches &= ranked["broken_limits"].str.contains(limit, regex=False)
    if text:
        found = pd.Series(False, index=ranked.index)
        for name in ID_COLUMNS:
            if name in ranked:
                found |= ranked[name].fillna("").str.contains(text, case=False, regex=False)
        matches &= found
    return ranked[matches]
