"""What is served, and how it came to be: the champion's card, the history of versions, the trainings behind them."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request

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

from ..problems import Problem, ProblemDetails
from ..schemas.model import ModelCard, Thresholds, TrainingList, TrainingSummary, VersionList, VersionSummary
from ..service import service
from ..serving.served_model import ServedModel

router = APIRouter(prefix="/model", tags=["model"])


@router.get("", summary="The champion's card", response_model=ModelCard, responses={503: {"model": ProblemDetails}})
async def model(request: Request) -> Any:
    """The card of the champion: metrics with intervals, gate, lineage, threshold, since when."""
    here = service(request)
    return _card(here.champion(), here.model_name)


@router.get("/history", summary="Every version", response_model=VersionList, responses={503: {"model": ProblemDetails}})
async def history(request: Request) -> Any:
    """Every version with its verdict and reasons."""
    here = service(request)
    versions, trouble = await asyncio.to_thread(here.follower.history)
    champion = here.follower.champion
    return VersionList(
        model_name=here.model_name,
        serving_version=champion.version.version if champion else None,
        versions=[VersionSummary(**_version(version)) for version in versions],
        trouble=trouble,
    )


@router.get(
    "/trainings",
    summary="The latest trainings",
    response_model=TrainingList,
    responses={503: {"model": ProblemDetails}},
)
async def trainings(request: Request) -> Any:
    """The latest runs of the flow, those that were rejected, failed or still go on, too."""
    here = service(request)
    found, trouble = await asyncio.to_thread(here.follower.trainings)
    told = [TrainingSummary.model_validate(training) for training in found]
    return TrainingList(mlflow_url=None if here.settings.model_dir else web_ui_url(), trainings=told, trouble=trouble)


@router.get(
    "/thresholds",
    summary="The champion at other thresholds",
    response_model=Thresholds,
    responses={code: {"model": ProblemDetails} for code in (404, 503)},
)
async def thresholds(request: Request) -> Any:
    """The champion's counts on the held-out rows at every threshold worth looking at, in rising order."""
    champion = service(request).champion()
    if champion.thresholds is None:
        raise Problem(
            HTTPStatus.NOT_FOUND, f"version {champion.version.version} was made without them: train, or promote another"
        )
    return {"version": champion.version.version, **champion.thresholds}


def _version(version: ModelVersion) -> dict[str, Any]:
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


def _scores(tags: Any, side: str) -> dict[str, Any] | None:
    return json.loads(tags[METRICS_TAG])[side] if METRICS_TAG in tags else None


def _card(champion: ServedModel, model_name: str) -> ModelCard:
    spec, tags = champion.scorer.spec, champion.version.tags
    return ModelCard(
        **_version(champion.version),
        model_name=model_name,
        serving_since=champion.serving_since.isoformat(timespec="seconds"),
        threshold=spec.threshold,
        currency=spec.currency,
        missed_failure_cost=spec.missed_failure_cost,
        false_alarm_cost=spec.false_alarm_cost,
        features=list(spec.features),
        limits=dict(spec.limits),
        known_ranges=champion.known,
        out_of_fold=_scores(tags, "out_of_fold"),
        previous_version=tags.get(PREVIOUS_TAG) or None,
        git_commit=tags.get("git_commit"),
        training_fingerprint=tags.get(FINGERPRINT_TAG),
        data_sources=json.loads(tags.get(SOURCES_TAG, "[]")),
    )
