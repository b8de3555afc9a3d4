"""The wheel, installed with its pinned requirements outside the checkout and used in a project folder of its own."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.fixtures.environments import Environment
from tests.paths import PARAMS_FILE, REPOSITORY

pytestmark = [pytest.mark.environment, pytest.mark.timeout(900)]

COMMAND = "predictive-maintenance"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with the wheel of this checkout and the versions of requirements.txt."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("app", "dashboard", "machines", "predictive_maintenance"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*build, "--wheel-dir", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    environment = Environment.create(folder / "environment")
    environment.install("--requirement", REPOSITORY / "requirements.txt")
    environment.install("--no-deps", wheel)
    return environment


@pytest.fixture
def run(installed, tmp_path):
    """Run an installed command in the folder `plant` of the test."""
    folder = tmp_path / "plant"
    folder.mkdir()

    def command(name, *arguments):
        unset = ("PDM_", "MLFLOW", "METAFLOW", "PYTHON", "VIRTUAL_ENV")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(unset)}
        return subprocess.run(
            [installed.root / "bin" / name, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    command.folder = folder
    return command


@pytest.fixture
def run_in_project(run):
    """Run an installed command that must succeed, in a project folder that contains only a params.yaml."""
    shutil.copy(PARAMS_FILE, run.folder)

    def command(name, *arguments):
        done = run(name, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    command.folder = run.folder
    return command


def test_the_package_is_imported_from_the_wheel(installed, run_in_project):
    where = run_in_project("python", "-c", "import predictive_maintenance as p, app, dashboard; print(p.__file__)")
    assert where.startswith(str(installed.site_packages))


@pytest.mark.parametrize("command", [(COMMAND,), ("python", "-m", "app"), ("python", "-m", "dashboard")])
def test_each_command_shows_its_help(run_in_project, command):
    assert "--help" in run_in_project(*command, "--help")


def test_readings_can_be_simulated_and_checked(run_in_project):
    run_in_project(COMMAND, "simulate", "--rows", "2000")
    assert (run_in_project.folder / "simulated.csv").is_file()
    assert "2,000 rows" in run_in_project(COMMAND, "check", "simulated.csv")


def test_status_creates_the_registry_in_the_project_folder(run_in_project):
    assert "production: no version yet" in run_in_project(COMMAND, "status")
    assert (run_in_project.folder / "mlflow.db").is_file()


def test_a_folder_without_params_yaml_is_reported_with_how_to_fix_it(run):
    done = run(COMMAND, "status")
    assert done.returncode == 1
    assert f"no params.yaml in {run.folder}" in done.stderr
    assert "PDM_PROJECT_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_wheel_contains_the_data_files_of_the_dashboard(installed):
    for name in ("app_pages", "assets", ".streamlit"):
        source, copy = REPOSITORY / "dashboard" / name, installed.site_packages / "dashboard" / name
        for path in source.iterdir():
            if path.is_file():
                assert (copy / path.name).read_bytes() == path.read_bytes()
    assert (installed.site_packages / "predictive_maintenance" / "py.typed").is_file()


def test_the_wheel_contains_the_folders_of_the_machines_and_no_tool_of_the_project(installed, run_in_project):
    copy = installed.site_packages / "machines"
    assert {path.name for path in copy.iterdir()} == {"fleet", "milling", "turbofan"}
    for folder in copy.iterdir():
        names = {path.name for path in (REPOSITORY / "machines" / folder.name).iterdir() if path.is_file()}
        assert {path.name for path in folder.iterdir() if path.is_file()} == names


def test_a_machine_of_the_project_has_its_own_simulator_beside_the_installed_one(run_in_project):
    folder = run_in_project.folder / "machines" / "compressor"
    shutil.copytree(REPOSITORY / "tests" / "machines" / "compressor", folder)
    for name in ("compressor", "milling"):
        run_in_project(COMMAND, "simulate", "--machine", name, "--rows", "50", "--output", f"{name}.csv")
        assert "every row is valid" in run_in_project(COMMAND, "check", f"{name}.csv", "--machine", name)


def test_the_wheel_contains_the_milling_machine(installed, run_in_project):
    name = "predictive_maintenance/machine/milling.json"
    assert (installed.site_packages / name).read_bytes() == (REPOSITORY / name).read_bytes()
    code = "from predictive_maintenance.machine.milling import MILLING; print(MILLING.description.name)"
    assert run_in_project("python", "-c", code).strip() == "milling machine"
