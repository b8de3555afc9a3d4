"""The settings of params.yaml as people read them in a record: flat, and without secrets."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from .. import __version__
from ..machine.machine_json import to_plain
from .params import Params


def shown_settings(params: Params, *names: str) -> dict[str, Any]:
    """Plain values by names such as monitoring.window_days, with the release; the machine by its name and a hash.

    `names` are sections or single settings; all by default. URIs of sources are shown without secrets.
    """
    machine = json.dumps(to_plain(params.machine), sort_keys=True).encode()
    raw = params.model_dump(mode="json", exclude={"machine"})
    raw["data"]["sources"] = [str(source) for source in params.data.sources]
    settings = dict(_flat(raw, ""))
    return {
        "release": __version__,
        "machine": params.machine.description.name,
        "machine_sha256": sha256(machine).hexdigest(),
    } | {name: value for name, value in settings.items() if not names or _is_named(name, names)}


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_named(setting: str, names: tuple[str, ...]) -> bool:
    return any(setting == name or setting.startswith(f"{name}.") for name in names)
