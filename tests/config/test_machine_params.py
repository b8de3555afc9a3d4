"""Settings in the folder of a machine, which replace those of the project."""

import shutil

import pytest
import yaml

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.machine.machine_json import to_plain
from tests.fixtures.described_machines import FILES
from tests.paths import PARAMS_FILE


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the machine compressor and the settings of this project."""
    shutil.copy(PARAMS_FILE, tmp_path / "params.yaml")
    folder = tmp_path / "machines" / "compressor"
    folder.mkdir(parents=True)
    shutil.copy(FILES["compressor"], folder / "machine.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def own(project):
    """Write the settings of the machine."""
    return lambda text: (project / "machines" / "compressor" / "params.yaml").write_text(text)


def test_they_replace_single_settings_and_whole_lists(project, own):
    own("data: {sources: [{uri: bearings.csv}]}\ncandidates: {lightgbm: {trials: 2}}\n")
    params, general = load_params(machine="compressor"), load_params()
    assert [source.uri for source in params.data.sources] == ["bearings.csv"]
    assert params.candidates["lightgbm"].trials == 2
    assert params.candidates["lightgbm"].search == general.candidates["lightgbm"].search
    assert params.candidates["random_forest"] == general.candidates["random_forest"]


def test_they_apply_to_this_machine_only(project, own):
    own("training: {seed: 99}\n")
    assert load_params(machine="compressor").training.seed == 99
    assert load_params().training.seed == 7


def test_they_apply_when_params_yaml_names_the_machine(project, own):
    own("training: {seed: 99}\n")
    raw = yaml.safe_load(PARAMS_FILE.read_text()) | {"machine": "compressor"}
    (project / "other.yaml").write_text(yaml.safe_dump(raw))
    assert load_params(project / "other.yaml").training.seed == 99


def test_they_apply_to_a_description_by_its_path(project, own):
    own("training: {seed: 99}\n")
    assert load_params(machine=str(project / "machines" / "compressor" / "machine.yaml")).training.seed == 99


def test_a_description_beside_the_projects_settings_has_no_further_ones(project):
    shutil.copy(FILES["compressor"], project / "machine.yaml")
    assert load_params(machine="./machine.yaml").training.seed == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machine: milling", "compressor/params.yaml: machine: the settings in this folder are those of its machine"),
        ("- training", "compressor/params.yaml: the file: Input should be an object"),
        (
            "training: {sed: 9}",
            r"/params.yaml with the params.yaml of compressor: training.sed is not a setting; did you mean",
        ),
    ],
)
def test_a_mistake_is_an_error(project, own, text, message):
    own(text)
    with pytest.raises(ConfigError, match=message):
        load_params(machine="compressor")


def test_a_run_takes_them_with_the_machine_and_its_own_options_override_them(params, compressor_params):
    machine = to_plain(compressor_params.machine)
    own = {"data": {"sources": [{"uri": "bearings.csv"}]}, "training": {"seed": 99}}
    chosen = params.override(machine=machine, machine_params=own)
    assert ([source.uri for source in chosen.data.sources], chosen.training.seed) == (["bearings.csv"], 99)
    assert params.override("other.csv", seed=5, machine=machine, machine_params=own).training.seed == 5
    with pytest.raises(ConfigError, match=r"or the machine's params\.yaml: training\.sed is not a setting"):
        params.override(machine=machine, machine_params={"training": {"sed": 9}})
