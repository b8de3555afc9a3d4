"""The environment variables that choose the engine."""

import os
import re

from ..config.uris import redact_text
from ..errors import ConfigError
from ..strict_model import suggestion

ENGINE_VARIABLE = "PDM_ENGINE"
SCHEDULER_VARIABLE = "DASK_SCHEDULER_ADDRESS"
WORKERS_VARIABLE = "PDM_DASK_WORKERS"
IN_PROCESS, DASK = "in_process", "dask"
ENGINES = (IN_PROCESS, DASK)

_ADDRESS = re.compile(r"([a-z]+://)?(\[[^\]\s]+\]|[^\[\]:/\s]+):\d{1,5}")


def engine_name() -> str:
    """The engine that the environment chooses. Raises ConfigError for an unknown one."""
    name = os.environ.get(ENGINE_VARIABLE) or IN_PROCESS
    if name not in ENGINES:
        raise ConfigError(f"{ENGINE_VARIABLE}: {name!r} is not an engine{suggestion(name, ENGINES)}")
    return name


def scheduler_address() -> str | None:
    """The address of the Dask cluster that the environment names. Raises ConfigError if it is none, or for an unknown engine."""
    address = os.environ.get(SCHEDULER_VARIABLE) or None if engine_name() == DASK else None
    if address and not _ADDRESS.fullmatch(address):
        shown = redact_text(address)
        raise ConfigError(f"{SCHEDULER_VARIABLE}: {shown!r} is not an address such as tcp://10.0.0.5:8786")
    return address


def number_of_workers() -> int | None:
    """The number of workers on this machine, if the environment sets it. Raises ConfigError if it is no number from 1."""
    given = os.environ.get(WORKERS_VARIABLE)
    if not given:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"{WORKERS_VARIABLE}: {given!r} is not a number of workers from 1")
    return int(given)


def check_engine_settings() -> None:
    """Raise ConfigError for a setting that no engine can use. Nothing is started or reached."""
    scheduler_address()
    number_of_workers()
