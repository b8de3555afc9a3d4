"""Objects shared by all sessions: settings, API client, service monitor."""

import streamlit as st

from dashboard.api_client import ApiClient
from dashboard.service_monitor import ServiceMonitor
from dashboard.settings import Settings, read_settings


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    return read_settings()


@st.cache_resource(show_spinner=False)
def api() -> ApiClient:
    return ApiClient(settings())


@st.cache_resource(show_spinner=False)
def monitor() -> ServiceMonitor:
    return ServiceMonitor(api=api(), poll_seconds=settings().dashboard_poll_seconds)
