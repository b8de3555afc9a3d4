"""The project's environment variables, and a warning about a misspelt one."""

import os
import sys
from contextlib import suppress
from difflib import get_close_matches

PREFIX = "PDM_"

_TRAINING = (
    "AI4I_CSV", "DASK_WORKERS", "DOWNLOAD_TIMEOUT_MINUTES", "ENGINE", "GIT_COMMIT", "LAUNCHER", "MACHINE", "MODEL_PUBLIC_KEY",
    "MODEL_SIGNING_KEY", "PARTS_FOLDER", "PROJECT_DIR", "REMOTE_STEPS", "RETRY_MINUTES", "RUN_ARGUMENTS", "SAGEMAKER_ROLE",
    "SAGEMAKER_ROOT", "SAGEMAKER_SERVE_IMAGE", "SAGEMAKER_TRAIN_IMAGE", "SECRETS", "SOURCE_COPIES",
    "TRAIN_TIMEOUT_MINUTES", "WEBHOOK_SECRET", "WEBHOOK_URL",
)  # fmt: skip
_SERVICE = (
    "ALLOWED_HOSTS", "API_KEY", "API_KEYS", "AUDIT_DAYS", "AUDIT_LOG", "AUDIT_SECONDS",
    "BATCH_DEADLINE_SECONDS", "BATCH_MEMORY_MIB", "BODY_TIMEOUT_SECONDS",
    "HEADER_TIMEOUT_SECONDS", "LOG_LEVEL", "MAX_BACKOFF_SECONDS", "MAX_CLOCK_SKEW_SECONDS", "MAX_CONNECTIONS", "MAX_HEADER_BYTES",
    "MAX_HEADER_LINES", "MAX_READING_BYTES", "MAX_REQUEST_BYTES", "MAX_ROWS", "MAX_TABLE_BYTES", "MAX_WAITING",
    "MODEL_CACHE", "MODEL_DIR", "MODEL_LOAD_BYTES", "MODEL_LOAD_SECONDS", "MODEL_NAME", "POLL_SECONDS", "PREDICTION_LOG",
    "PREDICTION_LOG_BYTES", "PREDICTION_LOG_DAYS", "PREDICTION_LOG_ROWS", "PREDICTION_LOG_SECONDS", "REGISTRY_WAIT_SECONDS",
    "SHUTDOWN_SECONDS", "STORE_RETENTION_DAYS", "STORE_SYNCHRONOUS", "STORE_TIMEOUT_SECONDS", "STORE_URL",
)  # fmt: skip
_DASHBOARD = (
    "API_TIMEOUT_SECONDS", "API_URL", "DASHBOARD_ALLOWED_EMAILS", "DASHBOARD_POLL_SECONDS", "DASHBOARD_SIGN_IN", "MLFLOW_URL",
)  # fmt: skip
_COMMANDS = ("COMMAND_PREFIX", "MQTT_PASSWORD")
_NOTEBOOKS = ("SOURCES", "TRIALS")
_COMPOSE = ("CERTIFICATES", "MONITOR_MINUTES")
_TESTS = (
    "CHROMIUM",
    "CMAPSS_DIR",
    "REQUIRE_AI4I",
    "REQUIRE_AZURITE",
    "REQUIRE_CMAPSS",
    "REQUIRE_MOSQUITTO",
    "REQUIRE_POSTGRESQL",
    "WRITE_GOLDEN",
)

KNOWN_VARIABLES = tuple(
    PREFIX + name
    for names in (_TRAINING, _SERVICE, _DASHBOARD, _COMMANDS, _NOTEBOOKS, _COMPOSE, _TESTS)
    for name in names
)
"""Every variable with the prefix PDM_ that a part of the project reads."""


def unknown_variables() -> list[str]:
    """A sentence for each variable with the prefix PDM_ that no part of the project reads. It shows no value."""
    given = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    return [_sentence(name) for name in given if name.upper() not in KNOWN_VARIABLES]


def warn_of_unknown_variables() -> None:
    """Write the sentences to the standard error, unless it cannot be written: a full disk must not prevent the start."""
    with suppress(OSError):
        for sentence in unknown_variables():
            sys.stderr.write(f"warning: {sentence}\n")


def _sentence(name: str) -> str:
    # Without the prefix, which makes all names similar.
    known = [variable.removeprefix(PREFIX) for variable in KNOWN_VARIABLES]
    near = get_close_matches(name.upper().removeprefix(PREFIX), known, 1)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else "docs/reference/environment.md lists the known ones"
    return f"{name} is not a variable of this project; {hint}"
