"""Metrics and settings of another git revision, as git and DVC keep them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.params import Params, parse_params
from ..config.project import project_dir
from ..errors import DataError, PredictiveMaintenanceError

_EXCLUDED: Any = {"data": {"sources": {"__all__": {"copies"}}}}  # set by a launch on AWS Batch, not by a person


@dataclass(frozen=True)
class Revision:
    """A branch, tag or commit.

    `metrics` is the content of its metrics.json, empty if there is none. `params` is None if its params.yaml is
    missing or invalid.
    """

    name: str
    metrics: Mapping[str, Any]
    params: Params | None


def load_revision(name: str, root: Path | None = None) -> Revision:
    """Read the metrics and settings of the revision `name` of the repository `root` (default: the project's folder).

    Raises DataError if there is no such revision, or if `root` is not a repository of git and DVC.
    """
    root = root or project_dir()
    import dvc.api  # takes a second
    from dvc.exceptions import DvcException

    def read(show: Any) -> dict[str, Any]:
        try:
            return dict(show(rev=name))
        except FileNotFoundError:
            return {}

    try:
        with chdir(root):
            metrics, raw = read(dvc.api.metrics_show), read(dvc.api.params_show)
    except DvcException as error:
        raise DataError(
            f"revision {name!r} cannot be compared with: {error}: give a branch, tag or commit of {root}"
        ) from None
    try:
        params = parse_params(raw, f"params.yaml of {name}") if raw else None
    except PredictiveMaintenanceError:
        params = None
    return Revision(name, metrics, params)


def changed_settings(before: Params, after: Params) -> list[tuple[str, str, str]]:
    """(setting, value before, value after) of each setting that differs; the value is `none` if it is not set."""
    old, new = (dict(_flatten(params.model_dump(mode="json", exclude=_EXCLUDED))) for params in (before, after))
    names = [*old, *(name for name in new if name not in old)]
    return [(name, old.get(name, "none"), new.get(name, "none")) for name in names if old.get(name) != new.get(name)]


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value that is not a mapping under its dotted name, as JSON."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flatten(part, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, json.dumps(value)
