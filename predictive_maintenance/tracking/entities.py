"""Model versions and training runs as the rest of the package uses them, and the names of their MLflow tags."""

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
COMPARED_TAG = "compared_with"
"""The version in production that the quality gate compared a version with; empty without one."""

PREVIOUS_TAG, PROMOTED_TAG, ROLLED_BACK_TAG = "previous_production_version", "promoted_at", "rolled_back_at"
PRODUCTION_REASON_TAG = "production_reason"
"""Why the version is in production, as text. It is valid while the version is in production."""

PRODUCTION_BY_TAG = "production_by"
"""Who moved production to the version: a user of the operating system, the flow run whose gate decided, or shadow."""

PRODUCTION_FROM_TAG, PRODUCTION_MOVED_TAG = "production_from", "production_moved_at"
"""The version that production moved from ("none" for the first one), and when, in microseconds: each move has its own time."""

ROLLED_BACK_REASON = "rolled back from version"
"""The beginning of PRODUCTION_REASON_TAG after a rollback."""

SCORER_TAG, SIGNATURE_TAG = "scorer_sha256", "signature"
FLOW_RUN_TAG = "flow_run"
"""On an MLflow run and on a model version: the flow run that made it, such as TrainFlow/17."""

INCIDENT_TAG = "incident"
"""On a Metaflow run, as incident:KEY, on an MLflow run and on a version: the incident of monitoring it was started for."""

LAUNCHER_TAG = "launcher"
"""On an MLflow run: the process that launched the flow run, see launcher.py."""

VERSION_FILE = "version.json"
"""The file beside an exported model that identifies its version."""

FILE_TAGS = (FILES_TAG, SCORER_TAG, SIGNATURE_TAG)
"""The tags that identify a version's files."""

TIME_FORMAT = "%Y-%m-%d %H:%M UTC"
"""How a time in UTC is shown in a terminal."""

JSON_TAGS = (GATE_TAG, METRICS_TAG, SOURCES_TAG)


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A model version in the registry. `tags` hold its metrics, gate and lineage as text."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    created: datetime
    tags: Mapping[str, str]

    @classmethod
    def from_mlflow(cls, found: MlflowVersion, aliases: tuple[str, ...]) -> Self:
        """Convert `found`. Its aliases are an argument because MLflow omits them from search results."""
        created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
        return cls(
            version=str(found.version),
            aliases=aliases,
            run_id=found.run_id or "",
            created=created,
            tags=dict(found.tags),
        )

    def to_json(self) -> str:
        """The content of VERSION_FILE."""
        return json.dumps(asdict(self) | {"created": self.created.isoformat()})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse what `to_json` returned. Raises ValueError for anything else."""
        try:
            fields = json.loads(text)
            return cls(
                version=str(fields["version"]),
                aliases=tuple(fields["aliases"]),
                run_id=str(fields["run_id"]),
                created=datetime.fromisoformat(fields["created"]),
                tags=dict(fields["tags"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a model version in JSON: {error!r}") from None

    @property
    def verdict(self) -> Verdict | None:
        """The result of the quality gate; None for a version without one."""
        return Verdict.from_json(self.tags[GATE_TAG]) if GATE_TAG in self.tags else None


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A run of the flow in MLflow, with any status. `level` is None until the gate has been evaluated."""

    flow_run: str
    run_id: str
    experiment_id: str
    status: str
    started: datetime
    ended: datetime | None
    level: str | None
    verdict: str | None

    @classmethod
    def from_mlflow(cls, run: Run) -> Self:
        """Convert an MLflow run that has FLOW_RUN_TAG."""
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


@dataclass(frozen=True, kw_only=True)
class PromotionResult:
    """The result of a promotion or a rollback.

    `promoted` is false if another process changed production in the meantime: then nothing was changed here.
    `production` is the version in production now, `previous` the one before. `rolled_back` is true if `previous` was
    marked as rolled back. `version` is the one in production with the tags of its promotion, if `promoted`.
    """

    promoted: bool
    production: str | None
    previous: str | None
    rolled_back: bool = False
    version: ModelVersion | None = None

    @property
    def conflict(self) -> str:
        """Why the version was not promoted."""
        return f"production changed from version {self.previous or 'none'} to {self.production or 'none'}"
