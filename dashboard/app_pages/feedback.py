"""Feedback page: upload failures that happened, or reports on alarms and predictions, as CSV."""

import streamlit as st

from dashboard import shared, sign_in
from dashboard.components import common
from dashboard.components.upload import csv_upload
from dashboard.uploads import event_tables, failures_kind, feedback_kind

snapshot = common.page_header("Feedback", "What happened to the machines: it becomes labels of the next training.")
card = common.require_model(snapshot, "The upload")
machine = shared.machine(card)
tables = event_tables(machine)
reports = "Reports on alarms and predictions"
selected = st.radio("The file has", [*tables, reports], horizontal=True)
if selected == reports:
    csv_upload(feedback_kind(shared.api(), machine, sign_in.person()), selected)
else:
    csv_upload(failures_kind(shared.api(), machine, tables[selected], sign_in.person()), selected)
