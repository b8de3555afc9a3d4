"""Streamlit elements, one module per page, and charts."""
