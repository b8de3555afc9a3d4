"""The steps of the flow in the test's own process, without Metaflow's runtime.

For tests about what the steps do. Tests about processes, retries, resuming and output run the flow itself, in a `Place`.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import yaml

from tests.paths import REPOSITORY

_RUN_IDS = count(1)


class Card(list):
    """Stands in for `current.card[id]`."""

    def refresh(self) -> None: ...


class Artifacts(SimpleNamespace):
    """Stands in for `self` in a step: the parameters and what the steps so far have assigned."""

    ingest = clean = features = train = select = evaluate = end = None  # steps, which `next` is called with

    def next(self, *steps: Any, **options: Any) -> None: ...

    def merge_artifacts(self, inputs: Sequence[Any], include: Sequence[str]) -> None:
        vars(self).update({name: getattr(inputs[0], name) for name in include})

    def copy(self, **more: Any) -> "Artifacts":
        return Artifacts(**{**vars(self), **more})

    @property
    def flow_mlflow_run(self) -> Any:
        return import_flow().TrainFlow._flow_cls.flow_mlflow_run.fget(self)


@cache
def import_flow() -> ModuleType:
    """Import flows/train_flow.py. The defaults that it sets in the environment are removed again."""
    environment = dict(os.environ)
    sys.path.insert(0, str(REPOSITORY / "flows"))
    try:
        import train_flow
    finally:
        sys.path.remove(str(REPOSITORY / "flows"))
        os.environ.clear()
        os.environ.update(environment)
    return train_flow


def run_steps(
    monkeypatch: Any, params_file: Path, *, sources: str = "", trials: int | None = None, tags: Sequence[str] = ()
) -> Artifacts:
    """Run all steps in the registry of MLFLOW_TRACKING_URI, with the parts of the rows beside the settings.

    Returns the last step's artifacts; raises a step's own error.
    """
    module = import_flow()
    run_id = str(next(_RUN_IDS))
    current = SimpleNamespace(
        flow_name="TrainFlow", run_id=run_id, pathspec=f"TrainFlow/{run_id}/step/1", card=defaultdict(Card), tags=tags
    )
    monkeypatch.setattr(module, "current", current)
    monkeypatch.setattr(module.cards, "current", current)
    monkeypatch.setenv("PDM_PARTS_FOLDER", str(params_file.parent / "parts"))
    steps = module.TrainFlow._flow_cls
    settings = SimpleNamespace(to_dict=lambda: yaml.safe_load(params_file.read_text()))
    run = Artifacts(settings=settings, sources=sources, trials=trials, seed=None, machine="", promote=True)
    for step in (steps.start, steps.ingest, steps.clean, steps.features):
        step(run)
    branches = [run.copy(input=algorithm) for algorithm in run.algorithms]
    for branch in branches:
        steps.train(branch)
    joined = Artifacts(promote=run.promote, machine=run.machine)
    steps.select(joined, branches)
    steps.evaluate(joined)
    steps.end(joined)
    return joined
