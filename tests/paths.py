"""Paths of the repository that is tested."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PARAMS_FILE = REPOSITORY / "params.yaml"
