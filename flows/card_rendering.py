"""Render cards in the process of their step.

For each version of a card, Metaflow starts a process that imports the flow again: seven processes in a run of one
candidate, for which their steps wait. Cards of components are rendered in milliseconds.
"""

import traceback
from collections.abc import Sequence
from copy import copy
from typing import Any

from metaflow._vendor import click  # Metaflow's own copy: it has the context of the command line
from metaflow.plugins.cards.card_cli import card
from metaflow.plugins.cards.card_creator import CardCreator


def _create_card(
    creator: CardCreator, command: Sequence[str], card_uuid: str, env: Any, wait: bool = True, timeout: Any = None
) -> tuple[bytes, bool]:
    """Execute `card create` of the command line in this process. Returns (output, whether it failed) as Metaflow does."""
    arguments = list(command[command.index("create") :])
    # Metaflow's limit is an alarm of the process, which would replace that of the step's own @timeout.
    del arguments[(limit := arguments.index("--timeout")) : limit + 2]
    state = copy(click.get_current_context().obj)
    # `card` sets another root, which the step's own results do not have.
    state.flow_datastore = copy(state.flow_datastore)
    state.flow_datastore._storage_impl = copy(state.flow_datastore._storage_impl)
    try:
        card.main(arguments, obj=state, standalone_mode=False)
    except Exception as error:  # noqa: BLE001  a step does not fail because of its card, and Metaflow logs the error
        # Updates during the step, for which Metaflow does not wait, are not reported.
        return "".join(traceback.format_exception_only(error)).encode(), wait
    return b"", False


CardCreator._run_command = _create_card
