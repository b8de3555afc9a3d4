"""Read the YAML here as Azure's own SDK reads it: python deploy/azureml/check.py FOLDER, with requirements-azure.txt."""

import sys
from pathlib import Path

from azure.ai.ml import load_job, load_online_deployment, load_online_endpoint
from azure.ai.ml.exceptions import ValidationException
from marshmallow import ValidationError

KINDS = {"job.yaml": load_job, "endpoint.yaml": load_online_endpoint, "deployment.yaml": load_online_deployment}


def main(folder: Path) -> int:
    """0 where every file is what Azure ML takes; every one that is not is named with the reason."""
    bad = 0
    for name, load in KINDS.items():
        try:
            print(f"{name}: {type(load(folder / name)).__name__}")
        except (ValidationException, ValidationError) as error:
            bad += 1
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)))
