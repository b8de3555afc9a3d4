"""How long the service keeps what is in its store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..config.api_keys import SERVICE_NAME
from ..errors import ConfigError

if TYPE_CHECKING:
    from .store import Store

STORE_RETENTION_DAYS, PREDICTION_LOG_DAYS = 365.0, 90.0
"""Defaults of the settings of the service: for readings with events, and for predictions."""

_DEFAULTS = {"store_retention_days": STORE_RETENTION_DAYS, "prediction_log_days": PREDICTION_LOG_DAYS}


def retention_days(store: Store, model: str) -> dict[str, float]:
    """The days of each of the service's variables that limit how long it keeps something.

    They are those that the service recorded in the audit log; without an audit log, those of this process's environment, or
    the defaults. Raises StoreError, and ConfigError for a variable that is not a number.
    """
    recorded = store.settings_in_force(model, SERVICE_NAME)
    if recorded is not None:
        return {_variable(name): float(recorded.get(name, default)) for name, default in _DEFAULTS.items()}
    return {_variable(name): _given_days(_variable(name), default) for name, default in _DEFAULTS.items()}


def _variable(name: str) -> str:
    return f"PDM_{name}".upper()


def _given_days(variable: str, default: float) -> float:
    text = os.environ.get(variable) or str(default)
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{variable}: {text!r} is not a number of days") from None
