"""A model version as a person reads it and as a program does: its metrics, its gate, its lineage."""

import json
from collections.abc import Iterator

from ..tracking.entities import (
    JSON_TAGS,
    METRICS_TAG,
    PREVIOUS_TAG,
    PROMOTED_TAG,
    ROLLED_BACK_TAG,
    SOURCES_TAG,
    ModelVersion,
)

_HEADLINE_METRICS = ("recall", "precision", "f1", "pr_auc")


def as_dict(version: ModelVersion) -> dict[str, object]:
    """For JSON: everything that the registry knows of it."""
    tags = {name: json.loads(text) if name in JSON_TAGS else text for name, text in version.tags.items()}
    return {
        "version": version.version,
        "aliases": list(version.aliases),
        "created": version.created.isoformat(),
        "run_id": version.run_id,
        **tags,
    }


def describe(alias: str, version: ModelVersion) -> str:
    """For a terminal: what matters, a line each."""
    return "\n".join(_lines(alias, version))


def _lines(alias: str, version: ModelVersion) -> Iterator[str]:
    tags = version.tags
    yield f"{alias}: version {version.version}, {tags.get('algorithm', 'unknown algorithm')}"
    yield f"  registered  {version.created:%Y-%m-%d %H:%M} UTC by {tags.get('flow_run', version.run_id)}"
    if promoted := tags.get(PROMOTED_TAG):
        yield f"  promoted    {promoted}, before: {tags.get(PREVIOUS_TAG) or 'none'}"
    if rolled_back := tags.get(ROLLED_BACK_TAG):
        yield f"  rolled back {rolled_back}"
    for side, scores in json.loads(tags.get(METRICS_TAG, "{}")).items():
        rows = f"on {scores['rows']:,} rows with {scores['failures']:,} failures"
        for metric in _HEADLINE_METRICS:
            found = scores["metrics"][metric]
            interval = f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
            yield f"  {side.replace('_', ' '):<11} {metric:<9} {interval} {rows}"
    yield f"  threshold   {float(tags['threshold']):.4f}" if "threshold" in tags else "  threshold   unknown"
    yield f"  code        {tags.get('git_commit', 'unknown')}"
    for source in json.loads(tags.get(SOURCES_TAG, "[]")):
        identity = f", sha256 {source['sha256'][:12]}" if source.get("sha256") else ""
        dvc = f", DVC {source['dvc_md5']}" if source.get("dvc_md5") else ""
        rows = f", {source['rows']:,} rows" if source.get("rows") else ""
        yield f"  data        {source['name']}{rows}{identity}{dvc}"
    if verdict := version.verdict:
        yield f"  gate        {verdict.level or 'rejected'}"
        for found in verdict.checks:
            yield f"    {'passed' if found.passed else 'FAILED':<7} {found.name}: {found.why}"
