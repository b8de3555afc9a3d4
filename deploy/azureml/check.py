"""Validate the Azure ML YAML files with the Azure SDK: python deploy/azureml/check.py FOLDER (needs requirements-azure.txt)."""

import sys
from pathlib import Path

from azure.ai.ml import load_job, load_online_deployment, load_online_endpoint
from azure.ai.ml.exceptions import ValidationException
from marshmallow import ValidationError

LOADERS = {"job.yaml": load_job, "endpoint.yaml": load_online_endpoint, "deployment.yaml": load_online_deployment}


def main(folder: Path) -> int:
    """Validate every file and print the result. Returns 0 if all are valid, otherwise 1."""
    bad = 0
    for name, load in LOADERS.items():
        try:
            print(f"{name}: {type(load(folder / name)).__name__}")
        except (ValidationException, ValidationError) as error:
            bad += 1
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)))
