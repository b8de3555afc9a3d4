"""Objects shared by all sessions: settings, API client, monitors, the described machine."""

import json

import streamlit as st

from app.schemas.model import ModelCard
from dashboard.api_client import ApiClient
from dashboard.fleet_monitor import FleetMonitor
from dashboard.service_monitor import ServiceMonitor
from dashboard.settings import Settings, read_settings
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.machine_json import from_json
from predictive_maintenance.machine.milling import MILLING


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    return read_settings()


@st.cache_resource(show_spinner=False)
def api() -> ApiClient:
    return ApiClient(settings())


@st.cache_resource(show_spinner=False)
def monitor() -> ServiceMonitor:
    return ServiceMonitor(api=api(), poll_seconds=settings().dashboard_poll_seconds)


@st.cache_resource(show_spinner=False)
def fleet_monitor() -> FleetMonitor:
    return FleetMonitor(api=api(), poll_seconds=settings().dashboard_poll_seconds)


def machine(card: ModelCard | None) -> Machine:
    """The machine that the served version describes; the milling machine if none is served."""
    return _described(json.dumps(card.machine)) if card else MILLING


@st.cache_resource(show_spinner=False, max_entries=4)
def _described(text: str) -> Machine:
    return from_json(text, "the description in the answer of the API")
