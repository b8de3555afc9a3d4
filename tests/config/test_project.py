"""The project folder: PDM_PROJECT_DIR, then the working directory upwards, then the source checkout."""

import pytest

from predictive_maintenance.config import project
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.project import params_file, project_dir
from predictive_maintenance.errors import ConfigError
from tests.paths import PARAMS_FILE, REPOSITORY


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch):
    monkeypatch.delenv("PDM_PROJECT_DIR", raising=False)


@pytest.fixture
def project_folder(tmp_path):
    """A project folder with a data folder in it."""
    folder = tmp_path / "a project"
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "params.yaml").write_text(PARAMS_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


@pytest.fixture
def no_checkout(tmp_path, monkeypatch):
    """The package as installed in a folder without a params.yaml."""
    monkeypatch.setattr(project, "__file__", str(tmp_path / "lib" / "predictive_maintenance" / "config" / "project.py"))


def test_the_setting_takes_precedence_over_the_working_directory(project_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(project_folder)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    assert project_dir() == tmp_path


def test_a_relative_setting_starts_at_the_working_directory(project_folder, monkeypatch):
    monkeypatch.chdir(project_folder.parent)
    monkeypatch.setenv("PDM_PROJECT_DIR", "a project")
    assert project_dir() == project_folder
    assert params_file() == project_folder / "params.yaml"


def test_the_setting_may_start_with_the_home_folder(project_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(project_folder.parent))
    monkeypatch.setenv("PDM_PROJECT_DIR", "~/a project")
    assert project_dir() == project_folder


def test_a_setting_that_names_no_folder_is_an_error(project_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(project_folder)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match=r"^PDM_PROJECT_DIR: .*missing is not a folder$"):
        project_dir()


@pytest.mark.parametrize("below", [".", "data", "data/raw"])
def test_the_working_directory_and_the_folders_above_it_are_searched(project_folder, monkeypatch, below):
    monkeypatch.chdir(project_folder / below)
    assert project_dir() == project_folder


def test_the_nearest_folder_with_a_params_file_is_the_project(project_folder, monkeypatch):
    (project_folder / "data" / "params.yaml").write_text("")
    monkeypatch.chdir(project_folder / "data" / "raw")
    assert project_dir() == project_folder / "data"


def test_a_folder_named_params_yaml_is_not_a_params_file(project_folder, monkeypatch):
    (project_folder / "data" / "params.yaml").mkdir()
    monkeypatch.chdir(project_folder / "data")
    assert project_dir() == project_folder


def test_the_working_directory_takes_precedence_over_the_source_checkout(project_folder, monkeypatch):
    monkeypatch.chdir(project_folder)
    assert project_dir() != REPOSITORY


def test_outside_of_any_project_the_source_checkout_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert project_dir() == REPOSITORY


@pytest.mark.usefixtures("no_checkout")
def test_no_project_folder_is_an_error_that_says_how_to_fix_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        project_dir()
    assert str(error.value) == (
        f"no params.yaml in {tmp_path} or in a folder above it: run the command in your project folder, "
        "or set PDM_PROJECT_DIR"
    )


@pytest.mark.usefixtures("no_checkout")
def test_an_installed_package_reads_the_params_file_of_the_project(project_folder, monkeypatch):
    monkeypatch.chdir(project_folder / "data")
    assert load_params() == load_params(PARAMS_FILE)
