"""Requests to SageMaker as dictionaries. The commands send them; --dry-run prints them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictive_maintenance.evaluation.metrics import METRICS

_TAG = "predictive-maintenance"


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A training job on one instance. `channels` are (name, s3:// prefix) pairs."""

    name: str
    image: str
    role: str
    output: str
    channels: Sequence[tuple[str, str]]
    hyperparameters: Mapping[str, str]
    environment: Mapping[str, str]
    instance_type: str
    volume_gb: int
    max_minutes: int
    spot: bool
    commit: str

    def request(self) -> dict[str, Any]:
        """The arguments of create_training_job."""
        # A spot job may wait for capacity: allow half of the run time in addition.
        waited = {"MaxWaitTimeInSeconds": self.max_minutes * 90} if self.spot else {}
        return {
            "TrainingJobName": self.name,
            "AlgorithmSpecification": {
                "TrainingImage": self.image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": f"held_out:{name}", "Regex": f"held_out_{name}=([0-9.eE+-]+);"} for name in METRICS
                ],
            },
            "RoleArn": self.role,
            "HyperParameters": dict(self.hyperparameters),
            "Environment": dict(self.environment),
            **({"InputDataConfig": [self._channel(*channel) for channel in self.channels]} if self.channels else {}),
            "OutputDataConfig": {"S3OutputPath": self.output},
            "ResourceConfig": {
                "InstanceType": self.instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": self.volume_gb,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": self.max_minutes * 60, **waited},
            "EnableManagedSpotTraining": self.spot,
            # An interrupted job starts again from the beginning: trainings are too short for checkpoints.
            "RetryStrategy": {"MaximumRetryAttempts": 2},
            "Tags": tags(self.commit),
        }

    @staticmethod
    def _channel(name: str, uri: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A model deployed to an endpoint. `name` identifies this deployment; `endpoint` stays the same across deployments."""

    endpoint: str
    name: str
    image: str
    role: str
    model_data: str
    instance_type: str
    instances: int
    commit: str

    def model(self) -> dict[str, Any]:
        """The arguments of create_model."""
        return {
            "ModelName": self.name,
            "PrimaryContainer": {"Image": self.image, "ModelDataUrl": self.model_data},
            "ExecutionRoleArn": self.role,
            "Tags": tags(self.commit),
        }

    def config(self) -> dict[str, Any]:
        """The arguments of create_endpoint_config."""
        variant = {
            "VariantName": "production",
            "ModelName": self.name,
            "InitialInstanceCount": self.instances,
            "InstanceType": self.instance_type,
        }
        return {"EndpointConfigName": self.name, "ProductionVariants": [variant], "Tags": tags(self.commit)}

    def create(self) -> dict[str, Any]:
        """The arguments of create_endpoint."""
        return {"EndpointName": self.endpoint, "EndpointConfigName": self.name, "Tags": tags(self.commit)}

    def update(self) -> dict[str, Any]:
        """The arguments of update_endpoint, which replaces instances without interruption."""
        return {"EndpointName": self.endpoint, "EndpointConfigName": self.name}


def tags(commit: str) -> list[dict[str, str]]:
    """Tags with the project and the commit."""
    return [{"Key": "project", "Value": _TAG}, {"Key": "commit", "Value": commit}]
