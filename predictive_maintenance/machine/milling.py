"""The milling machine, which the package contains. Its source is machines/milling/machine.yaml."""

from pathlib import Path

from .machine_json import from_json

_FILE = Path(__file__).with_name("milling.json")

MILLING = from_json(_FILE.read_bytes(), str(_FILE))
