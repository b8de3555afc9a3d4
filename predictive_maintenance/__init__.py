"""Predictive maintenance of machines: everything that can be said without Metaflow, FastAPI or Streamlit."""

__version__ = "0.1.0"
