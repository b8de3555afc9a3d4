"""Streamlit entry point: navigation and page layout. Start it with `python -m dashboard`.

The file must not be named app.py, because it would hide the package app.
"""

from pathlib import Path

import streamlit as st

from dashboard import shared, sign_in
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.reporting.markdown import plain

st.set_page_config("Predictive maintenance", "🛠️", layout="wide")
st.logo(Path(__file__).parent / "assets" / "logo.svg", size="large")
# Less padding at the top. On a phone, a wide table scrolls horizontally inside the page.
st.html(
    "<style>.stMainBlockContainer { padding-top: 4.5rem; }"
    "[data-testid=stMarkdownContainer] table { display: block; max-width: 100%; overflow-x: auto; }"
    # Streamlit's own download of a table escapes no formula; the pages offer their own.
    "[data-testid=stElementToolbarButton] button[aria-label^='Download as CSV'] { display: none; }</style>"
)
try:
    shared.settings()
except ConfigError as error:
    st.error(f"**Invalid setting.** {plain(str(error))}", icon="🚫")
    st.stop()
sign_in.require()
st.navigation(
    [
        st.Page("app_pages/status.py", title="Status", icon="🩺", url_path="status", default=True),
        st.Page("app_pages/fleet.py", title="Fleet", icon="🏭", url_path="fleet"),
        st.Page("app_pages/history.py", title="Machine history", icon="📈", url_path="history"),
        st.Page("app_pages/machine.py", title="Check a machine", icon="🔎", url_path="machine"),
        st.Page("app_pages/monitoring.py", title="Monitoring", icon="📡", url_path="monitoring"),
        st.Page("app_pages/models.py", title="Models", icon="🏆", url_path="models"),
        st.Page("app_pages/feedback.py", title="Feedback", icon="📝", url_path="feedback"),
        st.Page("app_pages/audit.py", title="Audit", icon="📒", url_path="audit"),
    ],
    position="top",
).run()
