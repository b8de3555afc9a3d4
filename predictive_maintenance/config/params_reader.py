"""Read params.yaml, with a function that finds the machine it names."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..machine.machine import Machine
from ..machine.machine_json import to_plain
from .machine_folders import DEFAULT_MACHINE, description_path
from .params import for_machine, merged
from .project import PARAMS_NAME, params_file, project_dir
from .text_file import read_text
from .yaml_reader import read_plain_yaml

MACHINE_VARIABLE = "PDM_MACHINE"
"""The environment variable with the name of a machine, used in place of the one in params.yaml."""

FindMachine = Callable[[str, Path], Machine]


def plain_params(
    text: str, origin: str, find_machine: FindMachine, machine: str | None = None
) -> tuple[dict[str, Any], str]:
    """The text of a params.yaml as plain values, with the description of its machine, or of the one named `machine`.

    Also returns the origin of the values, for errors: `origin`, and the machine's own settings if there are any. Raises
    ConfigError.
    """
    raw = read_plain_yaml(text, origin)
    if raw is None:
        raise ConfigError(f"{origin}: the file is empty: start from a copy of the project's {PARAMS_NAME}")
    if not isinstance(raw, dict):
        raise ConfigError(f"{origin}: the file: Input should be an object")
    given = raw.get("machine", DEFAULT_MACHINE)
    if not isinstance(given, str):
        raise ConfigError(f"{origin}: machine: {given!r} is not the name of a machine, such as {DEFAULT_MACHINE}")
    variable = os.environ.get(MACHINE_VARIABLE)
    name = machine or variable or given
    where = f"{origin}: machine" if name == given else MACHINE_VARIABLE if name == variable else "--machine"
    try:
        described = to_plain(find_machine(name, project_dir()))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    chosen = raw | {"machine": described} if name == given else for_machine(raw, described)
    own = machine_params(name, project_dir())
    return merged(chosen, own), f"{origin} with the {PARAMS_NAME} of {name}" if own else origin


def machine_params(name: str, project: Path) -> dict[str, Any]:
    """The settings in the params.yaml of the machine's folder, which replace those of the project's; {} without this file.

    Raises ConfigError.
    """
    described = description_path(name, project)
    path = described.with_name(PARAMS_NAME) if described else None
    if path is None or not path.is_file() or path.resolve() == params_file().resolve():
        return {}
    own = read_plain_yaml(read_text(path), str(path))
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: the file: Input should be an object")
    if "machine" in own:
        raise ConfigError(f"{path}: machine: the settings in this folder are those of its machine: remove the line")
    return own
