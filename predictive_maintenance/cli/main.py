"""The command group. Commands import heavy packages when they run, so that the program starts quickly."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from ..config.commands import PROGRAM
from ..config.environment import warn_of_unknown_variables
from . import (
    api_keys,
    data,
    doctor,
    machines,
    models,
    monitoring,
    mqtt,
    notifying,
    parts,
    replay,
    results,
    scoring,
    shadowing,
)
from .shared import FILE, Group


@click.group(PROGRAM, cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--params", "params_file", type=FILE, help="Use this settings file.  [default: params.yaml]")
@click.version_option(package_name="predictive-maintenance")
@click.pass_context
def main(ctx: click.Context, params_file: Path | None) -> None:
    """Manage machine-failure models: describe machines, check data, score readings, promote and roll back versions.

    \b
    Describe your machine:   predictive-maintenance init readings.csv
    Train a model:           python flows/train_flow.py run
    Show production:         predictive-maintenance status
    Score readings:          predictive-maintenance score readings.csv
    Roll back a promotion:   predictive-maintenance rollback

    The model registry is the MLflow server in MLFLOW_TRACKING_URI, or mlflow.db in the project's folder.
    """
    if os.getpid() == 1:  # in a container: the system ignores SIGTERM for process 1, unless it has a handler
        signal.signal(signal.SIGTERM, _end)
    ctx.obj = params_file
    warn_of_unknown_variables()


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


for command in (
    *(models.status, models.promote, models.rollback, models.signing_key),
    *(machines.init, machines.describe),
    *(data.check, scoring.score, data.simulate, data.fetch),
    *(results.export, results.report, parts.parts),
    replay.replay,
    mqtt.mqtt,
    monitoring.monitor,
    notifying.notify,
    shadowing.shadow,
    api_keys.api_key,
    doctor.doctor,
):
    main.add_command(command)
