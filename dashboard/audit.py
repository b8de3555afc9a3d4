"""The audit log as a table, and as CSV for spreadsheets."""

import json
from collections.abc import Collection, Sequence

import pandas as pd

from app.schemas.audit import Action, AuditEntry
from dashboard.api_client import ApiClient
from predictive_maintenance.reporting.spreadsheet import spreadsheet_csv

MOST_ENTRIES = 5_000
ACTION_LABELS: dict[Action, str] = {
    "acknowledgement": "Alarm acknowledged",
    "feedback": "Feedback",
    "events": "Events sent by a person",
    "promotion": "Promotion",
    "blocked_promotion": "Automatic promotion blocked",
    "rollback": "Rollback",
    "settings": "Settings in force",
    "refusal": "Key refused",
}
_PAGE = 1_000


def newest_entries(api: ApiClient, actions: Collection[Action]) -> list[AuditEntry]:
    """At most MOST_ENTRIES entries, the newest first. Raises ApiError."""
    found: list[AuditEntry] = []
    before: int | None = None
    while len(found) < MOST_ENTRIES:
        page = api.audit(_PAGE, actions, before)
        found += page.entries
        if (before := page.next) is None:
            break
    return found[:MOST_ENTRIES]


def audit_table(entries: Sequence[AuditEntry]) -> pd.DataFrame:
    """Columns of texts: time, action, by (the person or else the key), key, subject, detail."""
    rows = [
        [one.time, ACTION_LABELS[one.action], one.person or one.key, one.key, one.subject, _detail_text(one)]
        for one in entries
    ]
    return pd.DataFrame(rows, columns=["Time", "Action", "By", "Key", "Subject", "Detail"])


def audit_csv(table: pd.DataFrame) -> bytes:
    """The table as CSV, in which no cell is a formula."""
    return spreadsheet_csv(table)


def _detail_text(entry: AuditEntry) -> str:
    return "; ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in entry.detail.items()
    )
