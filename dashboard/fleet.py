"""A fleet's scored readings: ranked, summed up, filtered. No Streamlit here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard.api_client import Api

KINDS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
"""Content types by a file's ending."""
SAMPLE = Path(__file__).parent / "sample_fleet.csv"
NAMES = ("machine_id", "reading_id", "timestamp")


@dataclass(frozen=True)
class Fleet:
    """`ranked`: scored readings, the riskiest first, with their row in the file. `rejected`: the others, and why."""

    ranked: pd.DataFrame
    rejected: pd.DataFrame
    version: str

    @property
    def named_by(self) -> list[str]:
        """Those of NAMES that the file has."""
        return [name for name in NAMES if name in self.ranked]


def score_fleet(api: Api, content: bytes, ending: str) -> Fleet:
    """Raises ApiError where the file can't be scored at all."""
    table = api.score(content, KINDS[ending]).to_pandas()
    good = table["rejected"].isna()
    ranked = table[good].drop(columns="rejected")
    ranked = ranked.sort_values(["failure_probability", "row"], ascending=[False, True], ignore_index=True)
    return Fleet(ranked, table[~good].reset_index(drop=True), str(table["model_version"].iloc[0]))


def latest_of_each_machine(ranked: pd.DataFrame) -> pd.DataFrame | None:
    """The newest reading of each machine; None where machines or times are not told, or times are not ISO 8601."""
    if not {"machine_id", "timestamp"} <= set(ranked):
        return None
    times = pd.to_datetime(ranked["timestamp"], format="ISO8601", errors="coerce", utc=True)
    if times.isna().any() or ranked["machine_id"].isna().any():
        return None
    newest = times.groupby(ranked["machine_id"]).idxmax()
    return ranked.loc[newest.sort_values()].reset_index(drop=True)


def name_of(reading: Mapping[str, Any]) -> str:
    """What a reading's machine is called; the reading itself, where the file names no machine; nothing at all otherwise."""
    return next((str(reading[name]) for name in NAMES[:2] if pd.notna(reading.get(name))), "")


def filtered(ranked: pd.DataFrame, risks: list[str], types: list[str], limits: list[str], text: str) -> pd.DataFrame:
    """The readings that meet every filter; an empty one is met by all. `text` is looked for in the readings' names."""
    chosen = pd.Series(True, index=ranked.index)
    if risks:
        chosen &= ranked["risk_level"].isin(risks)
    if types:
        chosen &= ranked["product_type"].isin(types)
    for limit in limits:
        chosen &= ranked["broken_limits"].str.contains(limit, regex=False)
    if text:
        found = pd.Series(False, index=ranked.index)
        for name in NAMES:
            if name in ranked:
                found |= ranked[name].fillna("").str.contains(text, case=False, regex=False)
        chosen &= found
    return ranked[chosen]
