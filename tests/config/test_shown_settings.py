"""The settings of params.yaml in a record: flat, without secrets, and changed by a change of the machine's description."""

import json

from predictive_maintenance.config.params import Params
from predictive_maintenance.config.shown_settings import shown_settings
from tests.fixtures.pumps import pump


def test_named_sections_and_settings_are_shown_with_release_and_machine(params):
    shown = shown_settings(params, "shadow", "training.seed")
    assert list(shown) == [
        "release", "machine", "machine_sha256", "training.seed", "shadow.days_of_agreement", "shadow.min_agreement",
        "shadow.min_predictions", "shadow.min_daily_predictions",
    ]  # fmt: skip
    assert (shown["machine"], shown["training.seed"]) == ("milling machine", 7)


def test_all_settings_are_plain_values(params):
    shown = shown_settings(params)
    assert json.loads(json.dumps(shown)) == shown
    sections = {name.partition(".")[0] for name in shown} - {"release", "machine_sha256"}
    assert sections == set(Params.model_fields) - {"columns"}  # it is empty


def test_sources_have_no_secrets(params):
    sources = "postgresql://me:${SECRET}@host/db?table=readings,errors:https://host/e.csv?sig=${SECRET}"
    shown = shown_settings(params.override(sources))["data.sources"]
    assert shown == ["postgresql://me:***@host/db?table=readings", "errors:https://host/e.csv?sig=***"]


def test_another_description_of_the_machine_has_another_hash(params):
    other = shown_settings(params.model_copy(update={"machine": pump()}))
    assert other["machine_sha256"] != shown_settings(params)["machine_sha256"]
