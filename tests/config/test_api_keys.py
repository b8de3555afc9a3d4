"""API keys: names, roles and hashes in a file or in the environment."""

import hashlib
import stat

import pytest

from predictive_maintenance.config.api_keys import ROLES, append_api_key, new_api_key, parse_api_keys
from predictive_maintenance.errors import ConfigError

HASH = f"sha256:{'0a' * 32}"
OTHER = f"sha256:{'0b' * 32}"


def test_a_key_has_256_random_bits_and_its_line_has_the_hash_only():
    first, known = new_api_key("bridge", "write")
    second, _ = new_api_key("bridge", "write")
    assert first != second
    assert len(first.removeprefix("pdm_")) == 43
    assert known.line == f"bridge write sha256:{hashlib.sha256(first.encode()).hexdigest()}"
    assert first not in repr(known)


def test_a_role_includes_those_before_it():
    keys = {role: new_api_key("one", role)[1] for role in ROLES}
    assert [[keys[role].allows(needed) for needed in ROLES] for role in ROLES] == [
        [True, False, False], [True, True, False], [True, True, True],
    ]  # fmt: skip


def test_the_environment_may_have_the_lines_themselves():
    first, second = parse_api_keys(f"grafana read {HASH} ; board operate+people {OTHER}")
    assert (first.name, first.role, first.speaks_for_people) == ("grafana", "read", False)
    assert (second.name, second.role, second.speaks_for_people) == ("board", "operate", True)


def test_a_file_may_have_comments_and_empty_lines(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# of the plant\n\ngrafana read {HASH}  # since May\n")
    assert [key.name for key in parse_api_keys(f" {file}\n")] == ["grafana"]


def test_a_key_is_appended_to_a_file_that_its_owner_alone_can_read(tmp_path):
    file = tmp_path / "keys"
    known = [new_api_key(name, "read")[1] for name in ("first", "second")]
    append_api_key(file, known[0])
    file.write_text(file.read_text().rstrip())
    append_api_key(file, known[1])
    assert list(parse_api_keys(str(file))) == known
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="the key first exists: remove its line, or choose another name"):
        append_api_key(file, known[0])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("grafana read", "line 2: 2 fields: write NAME ROLE sha256:HEX"),
        (f"gra/fana read {HASH}", "line 2: the name may have up to 60 letters"),
        (f"service read {HASH}", "line 2: the name service is reserved for entries of the audit log"),
        (f"grafana admin {HASH}", "line 2: the role of grafana is none of read, write, operate"),
        ("grafana read pdm_plain-key", "line 2: the key grafana has no hash: write sha256: and 64 hexadecimal digits"),
        ("grafana read sha256:pdm_plain-key", "line 2: the key grafana has no hash"),
        (f"grafana read sha256:{hashlib.sha256().hexdigest()}", "line 2: the hash of grafana is that of an empty key"),
        (f"first read {HASH}", "line 2: two keys have the name first"),
        (f"other read {OTHER}", "line 2: other has the hash of another key"),
    ],
)
def test_a_wrong_line_is_an_error_that_names_it_and_shows_no_key(line, error, tmp_path):
    text, file = f"first write {OTHER}\n{line}\n", tmp_path / "keys"
    file.write_text(text)
    for given in (text, str(file)):
        with pytest.raises(ConfigError) as caught:
            parse_api_keys(given)
        assert error in str(caught.value)
        assert "plain-key" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_without_keys_or_one_that_is_not_there_is_an_error(tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("# none\n")
    with pytest.raises(ConfigError, match="has no keys"):
        parse_api_keys(str(empty))
    with pytest.raises(ConfigError, match=r"PDM_API_KEYS: the file of keys cannot be read \(No such file"):
        parse_api_keys(str(tmp_path / "missing"))
    with pytest.raises(ConfigError) as caught:  # a key in place of its hash
        parse_api_keys("pdm_plain-key")
    assert "plain-key" not in str(caught.value)


def test_a_name_that_a_line_cannot_have_is_refused():
    with pytest.raises(ConfigError, match="'a b' is not a valid name of a key"):
        new_api_key("a b", "read")


@pytest.mark.parametrize(
    "name", ["PDM_API_KEY", "anonymous", "service", "unknown", "various", "Service", "pdm_api_key"]
)
def test_a_name_that_the_audit_log_uses_itself_is_refused(name):
    with pytest.raises(ConfigError, match=f"'{name}' is reserved .*: choose another name"):
        new_api_key(name, "read")
    with pytest.raises(ConfigError, match=f"line 1: the name {name} is reserved .*: choose another name"):
        parse_api_keys(f"{name} read {HASH}")
