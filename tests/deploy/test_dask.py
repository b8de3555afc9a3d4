"""The files in deploy/dask: what the operator of dask-kubernetes and dask-cloudprovider accept, without a right too much."""

import ast
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.fixtures.environments import Environment
from tests.paths import REPOSITORY

DASK = REPOSITORY / "deploy" / "dask"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The folder of the packages, which are installed without their dependencies, since nothing of them is run."""
    environment = Environment.create(tmp_path_factory.mktemp("dask") / "environment")
    environment.install("--no-deps", "dask-kubernetes==2026.3.0", "dask-cloudprovider==2025.9.0")
    return environment.site_packages


@pytest.fixture
def kubernetes():
    text = (DASK / "kubernetes.yaml").read_text()
    return yaml.safe_load(text.replace("IMAGE", "registry/predictive-maintenance:train").replace("WORKERS", "4"))


def closed(schema):
    """A schema of Kubernetes that refuses unknown fields, as its API does."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


@pytest.mark.environment
def test_the_operator_accepts_the_cluster(packages, kubernetes):
    crd = "dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"
    (version,) = yaml.safe_load((packages / crd).read_text())["spec"]["versions"]
    schema = closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    jsonschema.validate(kubernetes["spec"], schema)
    kubernetes["spec"]["worker"]["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(jsonschema.ValidationError, match="'resource' was unexpected"):
        jsonschema.validate(kubernetes["spec"], schema)


@pytest.mark.environment
def test_the_library_accepts_the_arguments_of_the_cluster_on_fargate(packages):
    tree = ast.parse((packages / "dask_cloudprovider" / "aws" / "ecs.py").read_text())
    (cluster,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ECSCluster"]
    (start,) = [node for node in cluster.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    known = {argument.arg for argument in chain(start.args.args, start.args.kwonlyargs)}
    given = yaml.safe_load((DASK / "fargate.yaml").read_text())
    assert set(given) <= known
    assert given["fargate_spot"]


@pytest.mark.environment
def test_the_image_has_the_programs_that_the_library_starts_on_fargate(packages):
    tree = ast.parse((packages / "dask_cloudprovider" / "aws" / "ecs.py").read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    programs = {text for text in texts if text in ("dask-scheduler", "dask-worker", "dask-cuda-worker")}
    assert {"dask-scheduler", "dask-worker"} <= programs
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name in ("dask-scheduler", "dask-worker"):
        assert f"docker/{name}" in dockerfile
        done = subprocess.run(
            [REPOSITORY / "docker" / name, "--help"], capture_output=True, text=True, env=environment, check=True
        )
        assert "--death-timeout" in done.stdout or name == "dask-scheduler"


def test_the_operator_finds_the_ports_that_it_asks_for(kubernetes):
    ports = {port["name"] for port in kubernetes["spec"]["scheduler"]["service"]["ports"]}
    assert ports == {"tcp-comm", "http-dashboard"}


def test_processes_in_kubernetes_have_no_rights_but_those_they_need(kubernetes):
    for kind in ("worker", "scheduler"):
        pod = kubernetes["spec"][kind]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert kubernetes["spec"]["scheduler"]["service"]["type"] == "ClusterIP"


@pytest.mark.parametrize("name", ["kubernetes.yaml", "fargate.yaml"])
def test_no_file_has_a_secret(name):
    text = (DASK / name).read_text().lower()
    assert not [word for word in ("password", "secret_access_key", "account_key") if word in text]
