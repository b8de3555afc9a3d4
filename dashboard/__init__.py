"""Streamlit dashboard: system status, fleet ranking, single machines, model versions. It uses the API over HTTP."""
