"""What only some machines have is found by name: in the project folder, in the installation, or nowhere."""

import shutil
import subprocess
import sys

import pytest

from predictive_maintenance.config.machine_extras import (
    data_set_of,
    oracle_of,
    sample_fleet_of,
    simulator_named,
    simulator_of,
)
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.machine.machine_json import from_json, to_json
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.described_machines import forget_compressor
from tests.paths import REPOSITORY


def folder(project):
    return project / "machines" / "compressor"


def test_each_machine_has_its_own_extras(compressor_project, compressor):
    assert set(simulator_of(MILLING).tables(rows=5, seed=1)["readings"]) > set(MILLING.required_input_names)
    assert set(simulator_of(compressor).tables(rows=5, seed=1)["readings"]) > set(compressor.required_input_names)
    assert data_set_of(MILLING).FILE_NAME == "ai4i2020.csv"
    assert data_set_of(compressor).FILE_NAME == "compressors.csv"
    assert oracle_of(MILLING) is not oracle_of(compressor)
    assert sample_fleet_of(MILLING) == REPOSITORY / "machines" / "milling" / "sample_fleet.csv"
    assert sample_fleet_of(compressor) == folder(compressor_project) / "sample_fleet.csv"


def test_the_machine_of_a_version_has_the_extras_of_the_machine_that_was_trained(compressor_project, machine):
    served = from_json(to_json(machine), "a version")
    assert simulator_of(served) == simulator_of(machine)


def test_a_simulator_is_found_by_the_name_of_its_folder(compressor_project):
    assert len(simulator_named("compressor").tables(rows=7, seed=1)["readings"]) == 7
    assert len(simulator_named("milling").tables(rows=7, seed=1)["readings"]) == 7


def test_a_machine_without_extras_names_the_files_that_it_lacks(compressor_project, compressor):
    for file in ("simulator.py", "oracle.py", "data_set.py", "sample_fleet.csv"):
        (folder(compressor_project) / file).unlink()
    assert oracle_of(compressor) is None
    assert sample_fleet_of(compressor) is None
    with pytest.raises(ConfigError) as error:
        simulator_of(compressor)
    missing = folder(compressor_project) / "simulator.py"
    assert str(error.value) == f"the screw compressor has no simulator: {missing} does not exist"
    with pytest.raises(ConfigError, match=r"the screw compressor has no data set: .*data_set\.py does not exist"):
        data_set_of(compressor)
    with pytest.raises(ConfigError, match=r"machine 'compressor' has no simulator: .*simulator\.py does not exist"):
        simulator_named("compressor")


def test_a_machine_that_no_folder_describes_is_told_where_extras_are(compressor):
    with pytest.raises(
        ConfigError, match=r"its description is in no folder of machines, the place of its simulator\.py"
    ):
        simulator_of(compressor)
    assert sample_fleet_of(compressor) is None


@pytest.mark.parametrize("name", ["compresor", "unknown", "a.b", "..", "../compressor", "/tmp"])
def test_the_simulator_of_an_unknown_name_is_an_error_with_the_names_there_are(compressor_project, name):
    with pytest.raises(ConfigError, match=r"there is no machine '.*'; (did you mean|valid names:) .*compressor"):
        simulator_named(name)


def test_an_oracle_of_columns_that_the_machine_lacks_is_not_used(compressor_project, compressor):
    assert oracle_of(compressor) is not None
    path = folder(compressor_project) / "oracle.py"
    path.write_text(path.read_text().replace('"strokes")', '"cycles")'))
    forget_compressor()
    assert oracle_of(compressor) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def simulat(rows, seed): ...", "does not define simulate"),
        ("import no_such_package", "cannot be imported: No module named 'no_such_package'"),
        ("def simulate(rows, seed)", "cannot be imported: expected ':'"),
    ],
)
def test_a_mistake_in_a_simulator_is_an_error_with_its_file(compressor_project, compressor, text, reason):
    path = folder(compressor_project) / "simulator.py"
    path.write_text(text)
    forget_compressor()
    with pytest.raises(ConfigError) as error:
        simulator_of(compressor)
    assert str(error.value).startswith(f"{path}: {reason}")


def test_a_broken_description_of_one_machine_does_not_hide_the_extras_of_another(compressor_project, compressor):
    for number, text in enumerate(("name: [", "- a list", "\x00")):
        broken = compressor_project / "machines" / f"a{number}" / "machine.yaml"
        broken.parent.mkdir()
        broken.write_text(text)
    assert sample_fleet_of(compressor)


def test_a_projects_folder_adds_to_that_of_the_installation(compressor_project):
    """A plant that has its own sample of milling machines keeps the installed simulator."""
    own = compressor_project / "machines" / "milling" / "sample_fleet.csv"
    own.parent.mkdir()
    shutil.copy(REPOSITORY / "machines" / "milling" / "sample_fleet.csv", own)
    assert sample_fleet_of(MILLING) == own
    assert len(simulator_of(MILLING).tables(rows=3, seed=1)["readings"]) == 3


def test_the_package_works_without_a_folder_of_machines(tmp_path):
    """As in the serving image, which has neither the project's nor any other folder machines."""
    code = (
        "from predictive_maintenance.config.machine_extras import sample_fleet_of, oracle_of;"
        "from predictive_maintenance.machine.milling import MILLING;"
        "print(sample_fleet_of(MILLING), oracle_of(MILLING))"
    )
    (tmp_path / "predictive_maintenance").symlink_to(REPOSITORY / "predictive_maintenance")
    # Without the directory of site packages' own finders, which find the folder machines of this checkout.
    path = [str(tmp_path), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {path!r}; {code}"],
        cwd=tmp_path, env={"PDM_PROJECT_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "None None", done.stderr
