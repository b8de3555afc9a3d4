"""What is served, and how it came to be: the champion's card and the history of versions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from predictive_maintenance.registry import ModelVersion
from predictive_maintenance.registry.entities import (
    FINGERPRINT_TAG,
    GATE_TAG,
    LEVEL_TAG,
    METRICS_TAG,
    PREVIOUS_TAG,
    PROMOTED_TAG,
    ROLLED_BACK_TAG,
    SOURCES_TAG,
)

from ..champion import Champion
from ..problems import ProblemDetails
from ..service import service

router = APIRouter(prefix="/model", tags=["model"])


class _Words(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class Estimate(_Words):
    """A value and its two-sided interval."""

    value: float = Field(examples=[0.846])
    low: float = Field(examples=[0.708])
    high: float = Field(examples=[0.933])


class Scores(_Words):
    """Metrics on one side of the split."""

    rows: int = Field(examples=[1505])
    failures: int = Field(examples=[39])
    metrics: dict[str, Estimate]


class GateCheck(_Words):
    """One condition of the gate."""

    name: str
    level: str
    measured: str
    required: str
    passed: bool
    why: str


class Version(_Words):
    """One version of the model. What a version does not say of itself is null."""

    version: str = Field(examples=["3"])
    aliases: list[str] = Field(examples=[["production"]])
    algorithm: str | None = Field(examples=["random_forest"])
    registered: str
    promoted: str | None
    rolled_back: str | None
    level: str | None = Field(description="What the gate made of it: production or candidate.")
    verdict: str | None = Field(examples=["passes every check"])
    held_out: Scores | None


class ModelCard(Version):
    """The champion."""

    model_name: str
    serving_since: str
    threshold: float
    currency: str
    missed_failure_cost: float
    false_alarm_cost: float
    features: list[str]
    limits: dict[str, tuple[float, float]] = Field(description="What a sensor can physically read.")
    known_ranges: dict[str, tuple[float, float]] = Field(description="What the model has seen, in a sample.")
    out_of_fold: Scores | None
    gate: list[GateCheck]
    previous_version: str | None
    flow_run: str | None
    run_id: str
    git_commit: str | None
    training_fingerprint: str | None
    data_sources: list[dict[str, Any]]


class History(_Words):
    """All versions, the newest first: as the registry last told, where `trouble` says that it is away."""

    model_name: str
    serving_version: str | None
    versions: list[Version]
    trouble: str | None = None


@router.get("", summary="The champion's card", response_model=ModelCard, responses={503: {"model": ProblemDetails}})
async def model(request: Request) -> Any:
    """The card of the champion: metrics with intervals, gate, lineage, threshold, since when."""
    here = service(request)
    return _card(here.champion(), here.model_name)


@router.get("/history", summary="Every version", response_model=History, responses={503: {"model": ProblemDetails}})
async def history(request: Request) -> Any:
    """Every version with its verdict and reasons."""
    here = service(request)
    versions, trouble = await asyncio.to_thread(here.follower.history)
    champion = here.follower.champion
    return History(
        model_name=here.model_name,
        serving_version=champion.version.version if champion else None,
        versions=[Version(**_version(version)) for version in versions],
        trouble=trouble,
    )


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
    }


def _scores(tags: Any, side: str) -> dict[str, Any] | None:
    return json.loads(tags[METRICS_TAG])[side] if METRICS_TAG in tags else None


def _card(champion: Champion, model_name: str) -> ModelCard:
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
        gate=json.loads(tags.get(GATE_TAG, "[]")),
        previous_version=tags.get(PREVIOUS_TAG) or None,
        flow_run=tags.get("flow_run"),
        run_id=champion.version.run_id,
        git_commit=tags.get("git_commit"),
        training_fingerprint=tags.get(FINGERPRINT_TAG),
        data_sources=json.loads(tags.get(SOURCES_TAG, "[]")),
    )
