"""What all sessions of one dashboard share: the settings, the API's client, the watch over it."""

from __future__ import annotations

import streamlit as st

from .client import Api
from .settings import Settings, read_settings
from .watch import Watch


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    return read_settings()


@st.cache_resource(show_spinner=False)
def api() -> Api:
    return Api(settings())


@st.cache_resource(show_spinner=False)
def watch() -> Watch:
    return Watch(api(), settings().dashboard_poll_seconds)
