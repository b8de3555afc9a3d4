"""Read params.yaml for the service, which takes the machine from the version it serves and needs no pint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..machine.machine import Machine
from .description_file import parse_description
from .machine_folders import BUNDLED, description_path
from .params import Params, RegistrySettings, parse_params
from .params_reader import plain_params
from .project import params_file
from .text_file import read_text


@dataclass(frozen=True, kw_only=True)
class ServingParams:
    """The settings of params.yaml that the service uses. `aliases` are additional headers by canonical name."""

    registry: RegistrySettings
    aliases: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, params: Params) -> Self:
        """The part of `params` that the service uses."""
        return cls(registry=params.registry, aliases=params.columns.aliases)


def load_serving_params() -> ServingParams:
    """Read the project's params.yaml. Raises ConfigError."""
    path = params_file()
    return ServingParams.of(parse_params(plain_params(read_text(path), str(path), _machine_without_units), str(path)))


def _machine_without_units(name: str, project: Path) -> Machine:
    """The machine with its names, but without the units that headers may have."""
    path = description_path(name, project)
    return Machine(parse_description(read_text(path), str(path))[0], {}) if path else BUNDLED[name]
