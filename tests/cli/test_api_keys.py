"""The command api-key."""

from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.config.api_keys import hash_key, parse_api_keys


def run(*arguments):
    return CliRunner().invoke(main, ["api-key", *arguments])


def test_the_key_is_printed_once_and_the_line_with_its_hash_is_printed_beside_it():
    result = run("grafana")
    assert result.exit_code == 0
    key = result.stdout.strip()
    (known,) = parse_api_keys(result.stderr.splitlines()[0].partition(": ")[2])
    assert (known.name, known.role, known.speaks_for_people, known.digest) == ("grafana", "read", False, hash_key(key))
    assert key not in result.stderr


def test_the_file_gets_the_hash_and_not_the_key(tmp_path):
    file = tmp_path / "api-keys.txt"
    key = run("board", "--role", "operate", "--people", "--file", str(file)).stdout.strip()
    (known,) = parse_api_keys(str(file))
    assert (known.role, known.speaks_for_people, known.digest) == ("operate", True, hash_key(key))
    assert key not in file.read_text()


def test_a_name_that_the_file_has_makes_no_key(tmp_path):
    file = tmp_path / "api-keys.txt"
    run("board", "--file", str(file))
    before, result = file.read_text(), run("board", "--file", str(file))
    assert (result.exit_code, result.stdout, file.read_text()) == (1, "", before)
    assert "the key board exists" in result.stderr
