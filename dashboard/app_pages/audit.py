"""Audit page: who did what, and when."""

import streamlit as st

from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.audit import ACTION_LABELS, MOST_ENTRIES, audit_csv, audit_table, newest_entries
from dashboard.components import common
from dashboard.page_end import end_page

_MOST_VISIBLE = 20

common.page_header("Audit", "Who did what, and when: decisions of people, versions, settings, refused keys.")
actions = st.multiselect("Actions", list(ACTION_LABELS), format_func=ACTION_LABELS.__getitem__, placeholder="All")
try:
    with st.spinner("Waiting for the service …"):
        entries = newest_entries(shared.api(), actions)
except ApiError as error:
    common.api_error(error, "The audit log is not available.")
    end_page()
if not entries:
    st.info("There are no entries yet.", icon="📒")
    end_page()
table = audit_table(entries)
# Without people who sign in, every entry is by its key: the details need the width.
shown = table if (table["By"] != table["Key"]).any() else table.drop(columns="Key")
st.dataframe(shown, hide_index=True, height=common.table_height(len(table), _MOST_VISIBLE))
st.download_button("Download as CSV", audit_csv(table), "audit.csv", "text/csv", icon="⬇️", on_click="ignore")
limit = f" Older entries than the newest {MOST_ENTRIES:,} are left out." if len(entries) == MOST_ENTRIES else ""
st.caption(f"{len(entries):,} entries. Times are in UTC. Double-click a cell to see all of it.{limit}")
