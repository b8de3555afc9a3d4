"""What the registry holds, as the rest of the package knows it, and the names of the tags that it is kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

from ..evaluation.verdict import Verdict

GATE_TAG, LEVEL_TAG, FINGERPRINT_TAG = "gate", "gate_level", "training_fingerprint"
METRICS_TAG, SOURCES_TAG, FILES_TAG = "metrics", "data_sources", "files_sha256"
PREVIOUS_TAG, PROMOTED_TAG, ROLLED_BACK_TAG = "previous_production_version", "promoted_at", "rolled_back_at"
FLOW_RUN_TAG = "flow_run"
"""On an MLflow run and on a version: the run of the flow that made it."""

VERSION_FILE = "version.json"
"""Beside a model that is kept as files: which version it is."""

JSON_TAGS = (GATE_TAG, METRICS_TAG, SOURCES_TAG)


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One version as the registry knows it. `tags` hold its metrics, its gate and its lineage as text."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    created: datetime
    tags: Mapping[str, str]

    @classmethod
    def of(cls, found: MlflowVersion, aliases: tuple[str, ...]) -> Self:
        """`found` with its aliases, which MLflow leaves out of a search."""
        created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
        return cls(
            version=str(found.version),
            aliases=aliases,
            run_id=found.run_id or "",
            created=created,
            tags=dict(found.tags),
        )

    def to_json(self) -> str:
        """For VERSION_FILE."""
        return json.dumps(asdict(self) | {"created": self.created.isoformat()})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What `to_json` wrote. Raises ValueError for anything else."""
        try:
            note = json.loads(text)
            created, aliases = datetime.fromisoformat(note["created"]), tuple(note["aliases"])
            return cls(
                version=str(note["version"]),
                aliases=aliases,
                run_id=str(note["run_id"]),
                created=created,
                tags=dict(note["tags"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a version's note: {error!r}") from None

    @property
    def verdict(self) -> Verdict | None:
        return Verdict.from_json(self.tags[GATE_TAG]) if GATE_TAG in self.tags else None


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One run of the flow as MLflow knows it, whatever became of it. `level` is None where it was not judged yet."""

    flow_run: str
    run_id: str
    experiment_id: str
    status: str
    started: datetime
    ended: datetime | None
    level: str | None
    verdict: str | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """From an MLflow run that carries FLOW_RUN_TAG."""
        info, tags = run.info, run.data.tags
        ended = datetime.fromtimestamp(info.end_time / 1000, UTC) if info.end_time else None
        return cls(
            flow_run=tags[FLOW_RUN_TAG],
            run_id=info.run_id,
            experiment_id=info.experiment_id,
            status=info.status,
            started=datetime.fromtimestamp(info.start_time / 1000, UTC),
            ended=ended,
            level=tags.get(LEVEL_TAG),
            verdict=tags.get("verdict"),
        )


@dataclass(frozen=True)
class PromotionResult:
    """What became of a version: whether `production` points to it now, and the version that it replaced."""

    promoted: bool
    previous: str | None
    reason: str
