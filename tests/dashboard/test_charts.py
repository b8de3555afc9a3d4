"""Charts that no page test draws."""

from app.schemas.model import Scores
from dashboard.components import charts


def test_the_metrics_of_a_single_version_can_be_drawn():
    metrics = {"recall": {"value": 0.8, "low": 0.7, "high": 0.9}}
    scores = Scores.model_validate({"rows": 10, "failures": 2, "metrics": metrics})
    assert charts.scores({"version 1": scores}).to_dict()["layer"]
