"""The whole flow trains a machine unlike milling: no category, no id, no time, optional sensors."""

import shutil

import pytest

from predictive_maintenance.machine.machine_json import from_json, to_plain
from tests.fixtures.described_machines import FILES

pytestmark = [pytest.mark.flow, pytest.mark.long]


def test_a_machine_of_the_project_is_trained_judged_and_registered_with_its_description(
    place, quick_params, compressor_csv, compressor_params, tmp_path
):
    shutil.copytree(FILES["compressor"].parent, place.root / "machines" / "compressor")
    code, output = place.run(
        "run", "--machine", "compressor", "--sources", str(compressor_csv),
        config=quick_params, PDM_PROJECT_DIR=str(place.root),
    )  # fmt: skip
    assert code == 0, output
    assert "version 1 is in production: models:/compressor_bearing@production" in output
    assert "next: predictive-maintenance status --machine compressor" in output
    registry = place.registry(str(FILES["compressor"]))
    version = registry.production_version()
    assert version.verdict.level == "production"
    described = from_json((registry.download(version.version, tmp_path) / "machine.json").read_bytes())
    assert to_plain(described) == to_plain(compressor_params.machine)
    assert set(registry.load_scorer(version.version).spec.missing_shares) == {"oil_degc", "vibration_mm_s", "humidity"}
    assert place.registry().production_version() is None  # that of the milling machine
