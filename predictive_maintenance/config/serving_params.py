"""Read params.yaml for the service, which takes the machine from the version it serves and needs no pint."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..machine.machine import Machine
from .description_file import parse_description
from .machine_folders import BUNDLED, DEFAULT_MACHINE, description_path
from .params import Params, RegistrySettings, parse_params
from .params_reader import plain_params
from .project import params_file
from .text_file import read_text

MODEL_NAME_VARIABLE = "PDM_MODEL_NAME"
"""The environment variable with the name of a registered model that the service serves."""


@dataclass(frozen=True, kw_only=True)
class ServingParams:
    """The settings of params.yaml that the service uses. `aliases` are additional headers by canonical name.

    `machine` is the machine of the settings: the service documents its readings until it serves a version.
    """

    machine: Machine
    registry: RegistrySettings
    aliases: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, params: Params) -> Self:
        """The part of `params` that the service uses."""
        return cls(machine=params.machine, registry=params.registry, aliases=params.columns.aliases)


def load_serving_params() -> ServingParams:
    """Read the project's params.yaml. Raises ConfigError.

    PDM_MODEL_NAME names the registered model. Its versions describe their machine, so no description is needed then.
    """
    path, model_name = params_file(), os.environ.get(MODEL_NAME_VARIABLE)
    text, origin = read_text(path), str(path)
    if not model_name:
        return ServingParams.of(parse_params(*plain_params(text, origin, _machine_without_units)))
    raw, origin = plain_params(text, origin, _bundled_machine, DEFAULT_MACHINE)
    registry = raw.get("registry")
    if isinstance(registry, dict):
        raw |= {"columns": {}, "registry": registry | {"model_name": model_name}}
    return ServingParams.of(parse_params(raw, f"{origin} with {MODEL_NAME_VARIABLE}"))


def _machine_without_units(name: str, project: Path) -> Machine:
    """The machine with its names, but without the units that headers may have."""
    path = description_path(name, project)
    return Machine(parse_description(read_text(path), str(path))[0], {}) if path else BUNDLED[name]


def _bundled_machine(name: str, project: Path) -> Machine:  # noqa: ARG001  has the arguments of find_machine
    return BUNDLED[name]
