"""Generate what is made from the models and from machines/milling/machine.yaml: make machine-files

- docs/reference/machine.schema.json: the JSON Schema that editors check a machine.yaml with.
- predictive_maintenance/machine/milling.json: the milling machine with its unit conversions. It is a file of the package,
  so that an installed package, a container and a remote step have it, and can read it without YAML and pint.

With --check, write nothing and fail if a file is not current.
"""

import json
import sys
from pathlib import Path
from typing import Any

from predictive_maintenance.config.machine_file import load_machine
from predictive_maintenance.config.machine_folders import MACHINE_FILE
from predictive_maintenance.machine.description import MachineDescription
from predictive_maintenance.machine.machine_json import to_json

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "docs" / "reference" / "machine.schema.json"
MILLING = ROOT / "predictive_maintenance" / "machine" / "milling.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generated() -> dict[Path, str]:
    """The text of each generated file."""
    schema = _closed({"$schema": _DIALECT, **MachineDescription.model_json_schema()})
    return {
        SCHEMA: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        MILLING: to_json(load_machine(ROOT / "machines" / "milling" / MACHINE_FILE)),
    }


def _closed(schema: Any) -> Any:
    """The schema with a mapping restricted to names of its pattern, as the models do; pydantic allows any other name."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    return closed | {"additionalProperties": False} if "patternProperties" in closed else closed


def main(arguments: list[str]) -> int:
    """Write the files, or with --check compare them. The exit code is 1 if a file is not current."""
    check = "--check" in arguments
    texts = generated()
    outdated = [path for path, text in texts.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in outdated:
        if not check:
            path.write_text(texts[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'not current: run make machine-files' if check else 'written'}")
    return int(check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
