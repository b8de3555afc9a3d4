"""The lineage of a model as text for tags and files: code, data and packages."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import distributions
from itertools import accumulate

from ..config.project import project_dir
from ..ingestion.merging import SourceRecord

_RESULTS = ("dvc.lock", "metrics.json", "plots")  # in git but written by a run: not a change of the code
_MAX_TAG_CHARACTERS = 4500  # older registries cut or reject tags above 5000


def git_commit() -> str:
    """The commit of the code, with `+changes` if files differ from it. PDM_GIT_COMMIT overrides it, for example in images."""
    if given := os.environ.get("PDM_GIT_COMMIT"):
        return given
    try:
        commit = _git("rev-parse", "HEAD")
        others = [f":(exclude){name}" for name in _RESULTS]
        return (
            f"{commit}+changes" if _git("status", "--porcelain", "--untracked-files=no", "--", ".", *others) else commit
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def package_versions() -> str:
    """Every installed package, one per line, in the format of `pip freeze`."""
    found = {f"{dist.metadata['Name']}=={dist.version}" for dist in distributions()}
    return "\n".join(sorted(found, key=str.lower)) + "\n"


def sources_tag(records: Sequence[SourceRecord]) -> str:
    """The names, rows and hashes of the sources as JSON that fits into a tag. The last entry counts the omitted ones."""
    lines = [
        {"name": record.name, "rows": record.rows, "sha256": record.sha256, "dvc_md5": record.dvc_md5}
        for record in records
    ]
    if len(text := json.dumps(lines)) <= _MAX_TAG_CHARACTERS:
        return text
    available = _MAX_TAG_CHARACTERS - len(json.dumps([_omitted(len(lines))]))
    ends = accumulate(len(json.dumps(line)) + len(", ") for line in lines)
    shown = sum(end <= available for end in ends)
    return json.dumps([*lines[:shown], _omitted(len(lines) - shown)])


def sources_file(records: Sequence[SourceRecord]) -> str:
    """The complete lineage of the sources as JSON."""
    return json.dumps([asdict(record) for record in records], indent=2)


def _omitted(count: int) -> dict[str, str]:
    return {"name": f"and {count} more, see lineage/sources.json of the run"}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(project_dir()), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
