"""Streamlit entry point: navigation and page layout. Start it with `python -m dashboard`.

The file must not be named app.py, because it would hide the package app.
"""

from pathlib import Path

import streamlit as st

from dashboard import shared, sign_in
from dashboard.navigation import PAGES
from dashboard.page_end import end_page, until_page_ends
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
with until_page_ends():
    try:
        shared.settings()
    except ConfigError as error:
        st.error(f"**Invalid setting.** {plain(str(error))}", icon="🚫")
        end_page()
    sign_in.require()
    st.navigation(
        [
            st.Page(page.file, title=page.title, icon=page.icon, url_path=page.name, default=page is PAGES[0])
            for page in PAGES
        ],
        position="top",
    ).run()
