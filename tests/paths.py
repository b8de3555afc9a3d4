"""Paths of the repository under test."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PARAMS_FILE = REPOSITORY / "params.yaml"
