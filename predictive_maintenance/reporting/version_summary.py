"""A model version as text for a terminal and as JSON: its metrics, gate and lineage."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from ..tracking.entities import (
    JSON_TAGS,
    METRICS_TAG,
    PREVIOUS_TAG,
    PRODUCTION_REASON_TAG,
    PROMOTED_TAG,
    ROLLED_BACK_TAG,
    SOURCES_TAG,
    TIME_FORMAT,
    ModelVersion,
)

_SHOWN_METRICS = ("recall", "precision", "f1", "pr_auc")


def as_dict(version: ModelVersion) -> dict[str, object]:
    """Everything that the registry has on `version`, for JSON."""
    tags = {name: json.loads(text) if name in JSON_TAGS else text for name, text in version.tags.items()}
    return {
        "version": version.version,
        "aliases": list(version.aliases),
        "created": version.created.isoformat(),
        "run_id": version.run_id,
        **tags,
    }


def production_status(version: ModelVersion, champion: ModelVersion | None) -> str:
    """Whether `version` is in production. `champion` is the version in production."""
    if champion is not None and champion.version == version.version:
        return "in production"
    return "rolled back, not in production" if ROLLED_BACK_TAG in version.tags else "not in production"


def describe(alias: str, version: ModelVersion, *, in_production: bool) -> str:
    """Describe `version` and its `alias` in lines for a terminal. A version in production is shown with the reason."""
    return "\n".join(
        [
            f"{alias}: version {version.version}, {version.tags.get('algorithm', 'unknown algorithm')}",
            *_history(version, in_production),
            *_metrics(version.tags),
            *_lineage(version.tags),
            *_gate(version),
        ]
    )


def _history(version: ModelVersion, in_production: bool) -> Iterator[str]:
    tags = version.tags
    yield f"  registered  {version.created:{TIME_FORMAT}} by {tags.get('flow_run', version.run_id)}"
    if promoted := tags.get(PROMOTED_TAG):
        yield f"  promoted    {_time(promoted)}, previous version: {tags.get(PREVIOUS_TAG) or 'none'}"
    # Versions that were promoted by an earlier release have no reason.
    if in_production and (reason := tags.get(PRODUCTION_REASON_TAG)):
        yield f"  because     {reason}"
    if rolled_back := tags.get(ROLLED_BACK_TAG):
        yield f"  rolled back {_time(rolled_back)}"


def _time(text: str) -> str:
    """The time in a tag as TIME_FORMAT. A text that is not a time is returned as it is."""
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):{TIME_FORMAT}}"
    except ValueError:
        return text


def _metrics(tags: Mapping[str, str]) -> Iterator[str]:
    for row_set, scores in json.loads(tags.get(METRICS_TAG, "{}")).items():
        rows = f"on {scores['rows']:,} rows with {scores['failures']:,} failures"
        for metric in _SHOWN_METRICS:
            estimate = scores["metrics"][metric]
            interval = f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
            yield f"  {row_set.replace('_', ' '):<11} {metric:<9} {interval} {rows}"
    yield f"  threshold   {float(tags['threshold']):.4f}" if "threshold" in tags else "  threshold   unknown"


def _lineage(tags: Mapping[str, str]) -> Iterator[str]:
    yield f"  code        {tags.get('git_commit', 'unknown')}"
    for source in json.loads(tags.get(SOURCES_TAG, "[]")):
        rows = f", {source['rows']:,} rows" if source.get("rows") else ""
        sha256 = f", sha256 {source['sha256'][:12]}" if source.get("sha256") else ""
        dvc = f", DVC {source['dvc_md5']}" if source.get("dvc_md5") else ""
        yield f"  data        {source['name']}{rows}{sha256}{dvc}"


def _gate(version: ModelVersion) -> Iterator[str]:
    if verdict := version.verdict:
        failed = f"{len(verdict.failed)} check{'' if len(verdict.failed) == 1 else 's'} failed"
        match verdict.level:
            case "production":
                yield "  gate        passes every check"
            case "candidate":
                yield f"  gate        stays a candidate: {failed}"
            case None:
                yield f"  gate        rejected: {failed}"
        for check in verdict.checks:
            yield f"    {'passed' if check.passed else 'FAILED':<7} {check.name}: {check.why}"
