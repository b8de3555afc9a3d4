"""Streamlit components, by page."""
