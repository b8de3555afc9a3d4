"""What DVC and git keep of another revision's training: its metrics and its settings."""

import json
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.params import Params, parse_params
from ..config.project import project_dir
from ..errors import DataError, PredictiveMaintenanceError

_NO_SETTING: Any = {"data": {"sources": {"__all__": {"copies"}}}}  # filled in by a launch on rented machines


@dataclass(frozen=True)
class Revision:
    """A branch, tag or commit. `metrics` are as `export` wrote them, empty where nothing was trained yet."""

    name: str
    metrics: Mapping[str, Any]
    params: Params | None


def revision(name: str, root: Path | None = None) -> Revision:
    """Raises DataError where there is no such revision, or no project of git and DVC in `root`.

    `params` is None where its params.yaml is missing, or is one that this version cannot read.
    """
    root = root or project_dir()
    import dvc.api  # takes a second
    from dvc.exceptions import DvcException

    def kept(show: Any) -> dict[str, Any]:
        try:
            return dict(show(rev=name))
        except FileNotFoundError:
            return {}

    try:
        with chdir(root):
            metrics, raw = kept(dvc.api.metrics_show), kept(dvc.api.params_show)
    except DvcException as error:
        raise DataError(
            f"revision {name!r} cannot be compared with: {error}: name a branch, tag or commit of {root}"
        ) from None
    try:
        params = parse_params(raw, f"params.yaml of {name}") if raw else None
    except PredictiveMaintenanceError:
        params = None
    return Revision(name, metrics, params)


def changed_settings(before: Params, after: Params) -> list[tuple[str, str, str]]:
    """(setting, before, after) of all that differ, `none` for what one of the two has not."""
    old, new = (dict(_flat(params.model_dump(mode="json", exclude=_NO_SETTING))) for params in (before, after))
    names = [*old, *(name for name in new if name not in old)]
    return [(name, old.get(name, "none"), new.get(name, "none")) for name in names if old.get(name) != new.get(name)]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Leaves by their dotted name; a list is a leaf."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, json.dumps(value)
