"""The application as a server imports it: `uvicorn app.main:app`. Settings come from the environment and params.yaml."""

import sys

from predictive_maintenance.config.serving_params import load_serving_params

from . import logs
from .factory import create_app
from .settings import read_settings

# Threads explain readings and use the store. By default each keeps the interpreter for 5 ms while the event loop waits for it.
sys.setswitchinterval(0.001)
_settings = read_settings()
logs.configure(_settings.log_level)
app = create_app(_settings, load_serving_params())
