"""Machines are found by name in the project folder, in the package, or by path."""

import shutil

import pytest

from predictive_maintenance.config import machine_folders
from predictive_maintenance.config.machine_file import find_machine
from predictive_maintenance.config.machine_folders import machine_names
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.machine.milling import MILLING
from tests.paths import REPOSITORY

COMPRESSOR = REPOSITORY / "tests" / "machines" / "compressor"


@pytest.fixture
def project(tmp_path):
    """A project folder with the description of a compressor, and a folder without a description."""
    shutil.copytree(COMPRESSOR, tmp_path / "machines" / "compressor")
    (tmp_path / "machines" / "unfinished").mkdir()
    return tmp_path


def test_a_machine_of_the_project_is_found_by_its_folder(project):
    assert find_machine("compressor", project).description.name == "screw compressor"


def test_milling_needs_no_file(project):
    assert find_machine("milling", project) is MILLING


def test_the_projects_own_description_of_milling_takes_precedence(project):
    shutil.copytree(COMPRESSOR, project / "machines" / "milling")
    assert find_machine("milling", project).description.name == "screw compressor"


def test_the_path_of_a_description_is_a_name(project):
    path = project / "machines" / "compressor" / "machine.yaml"
    assert find_machine(str(path), project / "elsewhere").description.name == "screw compressor"


def test_an_unknown_name_is_an_error_with_the_closest_one(project):
    with pytest.raises(
        ConfigError,
        match=r"machine 'compresor': .*machine\.yaml does not exist; did you mean 'compressor'\?$",
    ):
        find_machine("compresor", project)


def test_a_name_like_no_other_is_an_error_with_all_names(project):
    with pytest.raises(ConfigError, match=r"does not exist; valid names: compressor, fleet, milling, turbofan$"):
        find_machine("xyz", project)


def test_a_folder_without_a_description_is_not_a_machine(project):
    assert machine_names(project) == ("compressor", "fleet", "milling", "turbofan")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_is_no_folder_of_machines_is_an_error(project, name):
    with pytest.raises(ConfigError, match="does not exist"):
        find_machine(name, project)


def test_a_mistake_in_the_description_is_named(project):
    path = project / "machines" / "compressor" / "machine.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("sensors:", "sensor:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"sensor is not a setting; did you mean 'sensors'\?"):
        find_machine("compressor", project)


def test_a_machine_of_the_installation_is_found_from_another_project(project, tmp_path, monkeypatch):
    installation = tmp_path / "installation"
    shutil.copytree(COMPRESSOR, installation / "machines" / "turbofan")
    monkeypatch.setattr(machine_folders, "INSTALLATION", installation)
    assert machine_names(project) == ("compressor", "milling", "turbofan")
    assert find_machine("turbofan", project).description.name == "screw compressor"
