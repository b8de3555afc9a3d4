"""Streamlit dashboard: system status, fleet ranking, machines over time, model versions. It uses the API over HTTP."""
