"""The commands that texts tell a person to run, also where the project runs in containers."""

import os

PREFIX_VARIABLE = "PDM_COMMAND_PREFIX"
"""The environment variable with what starts a command in a container, such as `docker compose run --rm train`."""

PROGRAM = "predictive-maintenance"


def command(text: str) -> str:
    """`text`, a command that runs in the project folder, as a person starts it."""
    prefix = os.environ.get(PREFIX_VARIABLE)
    return f"{prefix} {text}" if prefix else text


def program_command(arguments: str) -> str:
    """The command of this package with `arguments`."""
    return command(f"{PROGRAM} {arguments}")


def flow_command(arguments: str) -> str:
    """The command of the training flow with `arguments`."""
    return command(f"python flows/train_flow.py {arguments}")


def in_containers() -> bool:
    """Whether the project runs in containers, by the setting of the prefix."""
    return bool(os.environ.get(PREFIX_VARIABLE))


def show_card(step: str) -> str:
    """What shows the card of a step: a command that opens a browser, or in containers, which have none, a page in MLflow."""
    if in_containers():
        return f"open cards/{step}.html among the artifacts of the run in MLflow"
    return flow_command(f"card view {step}")
