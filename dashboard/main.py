"""The pages and their frame: python -m dashboard, or streamlit run dashboard/main.py. As app.py it would hide the package app."""

from pathlib import Path

import streamlit as st

from dashboard import shared
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.reporting.markdown import plain

st.set_page_config("Predictive maintenance", "🛠️", layout="wide")
st.logo(Path(__file__).parent / "assets" / "logo.svg", size="large")
# Less air above; on a phone, a wide table scrolls within itself.
st.html(
    "<style>.stMainBlockContainer { padding-top: 4.5rem; }"
    "[data-testid=stMarkdownContainer] table { display: block; max-width: 100%; overflow-x: auto; }</style>"
)
try:
    shared.settings()
except ConfigError as error:
    st.error(f"**A setting is wrong.** {plain(str(error))}", icon="🚫")
    st.stop()
st.navigation(
    [
        st.Page("app_pages/status.py", title="Status", icon="🩺", url_path="status", default=True),
        st.Page("app_pages/fleet.py", title="Fleet", icon="🏭", url_path="fleet"),
        st.Page("app_pages/machine.py", title="Check a machine", icon="🔎", url_path="machine"),
        st.Page("app_pages/models.py", title="Models", icon="🏆", url_path="models"),
    ],
    position="top",
).run()
