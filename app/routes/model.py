"""The served model's card, its counts at each threshold, all versions, and the training runs."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request

from predictive_maintenance.errors import ModelError
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.tracking.connection import web_ui_url
from predictive_maintenance.tracking.entities import (
    FINGERPRINT_TAG,
    FLOW_RUN_TAG,
    GATE_TAG,
    LEVEL_TAG,
    METRICS_TAG,
    PREVIOUS_TAG,
    PROMOTED_TAG,
    ROLLED_BACK_TAG,
    SOURCES_TAG,
    ModelVersion,
)

from ..problem_responses import ProblemDetails
from ..problems import Problem
from ..schemas.health import Health
from ..schemas.model import ModelCard, Thresholds, VersionList, VersionSummary
from ..schemas.training_runs import TrainingRunList, TrainingRunSummary
from ..service import get_service
from ..serving.served_model import ServedModel
from .health import describe_health

router = APIRouter(prefix="/model", tags=["model"])
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"model": ProblemDetails}}


@router.get("", summary="Get the served model's card", response_model=ModelCard, responses=_UNAVAILABLE)
async def model(request: Request) -> Any:
    """The served model: metrics with intervals, quality gate, decision threshold, costs, lineage."""
    service = get_service(request)
    return model_card(service.served_model(), service.model_name)


@router.get("/status", summary="Get the state of the service with details", response_model=Health)
async def status(request: Request) -> Any:
    """Like /health, but `warning` has the whole reason, with addresses and paths. It needs the API key if one is set."""
    return describe_health(get_service(request), details=True)


@router.get("/history", summary="List all versions", response_model=VersionList, responses=_UNAVAILABLE)
async def history(request: Request) -> Any:
    """Every version of the model, the newest first, with the verdict of the quality gate and its checks."""
    service = get_service(request)
    versions, warning = await asyncio.to_thread(service.watcher.versions)
    served = service.watcher.model
    return VersionList(
        model_name=service.model_name,
        serving_version=served.version.version if served else None,
        versions=[VersionSummary(**_version_fields(version)) for version in versions],
        warning=warning,
    )


@router.get(
    "/trainings", summary="List the latest training runs", response_model=TrainingRunList, responses=_UNAVAILABLE
)
async def trainings(request: Request) -> Any:
    """The latest training runs, the newest first, with those that were rejected, failed or are still running."""
    service = get_service(request)
    runs, warning = await asyncio.to_thread(service.watcher.training_runs)
    return TrainingRunList(
        mlflow_url=None if service.settings.model_dir else web_ui_url(),
        trainings=[TrainingRunSummary.model_validate(run) for run in runs],
        warning=warning,
    )


@router.get(
    "/thresholds",
    summary="Get the counts at each threshold",
    response_model=Thresholds,
    responses=_UNAVAILABLE | {404: {"model": ProblemDetails}},
)
async def thresholds(request: Request) -> Any:
    """True and false positives of the served model on the held-out rows, at decision thresholds in ascending order."""
    served = get_service(request).served_model()
    if served.thresholds is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"version {served.version.version} has no counts at each threshold: train or promote a newer version",
        )
    return {"version": served.version.version, **served.thresholds.model_dump()}


def _version_fields(version: ModelVersion) -> dict[str, Any]:
    """Return the fields of `VersionSummary`."""
    tags = version.tags
    return {
        "version": version.version,
        "aliases": list(version.aliases),
        "algorithm": tags.get("algorithm"),
        "registered": version.created.isoformat(timespec="seconds"),
        "promoted": tags.get(PROMOTED_TAG),
        "rolled_back": tags.get(ROLLED_BACK_TAG),
        "level": tags.get(LEVEL_TAG),
        "verdict": tags.get("verdict"),
        "held_out": _scores(tags, "held_out"),
        "gate": json.loads(tags.get(GATE_TAG, "[]")),
        "flow_run": tags.get(FLOW_RUN_TAG),
        "run_id": version.run_id,
    }


def _scores(tags: Any, rows: str) -> dict[str, Any] | None:
    """Return the metrics on the `held_out` or `out_of_fold` rows."""
    return json.loads(tags[METRICS_TAG])[rows] if METRICS_TAG in tags else None


def model_card(served: ServedModel, model_name: str) -> ModelCard:
    """Return the card of a served model. Raises ModelError if a tag of its version is damaged."""
    try:
        return _model_card(served, model_name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"its tags are damaged: {error!r}") from error


def _model_card(served: ServedModel, model_name: str) -> ModelCard:
    spec, tags = served.scorer.spec, served.version.tags
    return ModelCard(
        **_version_fields(served.version),
        model_name=model_name,
        serving_since=served.serving_since.isoformat(timespec="seconds"),
        threshold=spec.threshold,
        currency=spec.currency,
        missed_failure_cost=spec.missed_failure_cost,
        false_alarm_cost=spec.false_alarm_cost,
        features=list(spec.features),
        limits=served.scorer.machine.ranges,
        known_ranges=served.training_ranges,
        machine=to_plain(served.scorer.machine),
        out_of_fold=_scores(tags, "out_of_fold"),
        previous_version=tags.get(PREVIOUS_TAG) or None,
        git_commit=tags.get("git_commit"),
        training_fingerprint=tags.get(FINGERPRINT_TAG),
        data_sources=json.loads(tags.get(SOURCES_TAG, "[]")),
    )
