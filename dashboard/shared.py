"""What all sessions of one dashboard share: the settings, the API's client, the watch over it."""

import streamlit as st

from dashboard.api_client import Api
from dashboard.service_monitor import ServiceMonitor
from dashboard.settings import Settings, read_settings


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    return read_settings()


@st.cache_resource(show_spinner=False)
def api() -> Api:
    return Api(settings())


@st.cache_resource(show_spinner=False)
def watch() -> ServiceMonitor:
    return ServiceMonitor(api=api(), poll_seconds=settings().dashboard_poll_seconds)
