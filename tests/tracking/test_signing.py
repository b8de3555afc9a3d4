"""With a public key, only versions that were signed by training are used; the files are those that were registered."""

import base64
import stat
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from predictive_maintenance.errors import ConfigError, ModelError
from predictive_maintenance.tracking.entities import FILES_TAG, SCORER_TAG, SIGNATURE_TAG
from predictive_maintenance.tracking.signing import create_key_pair, public_key, signing_key, verify_scorer

NAME = "predictive_maintenance"


@pytest.fixture
def keys(tmp_path):
    """The paths of a new key pair."""
    private, public = tmp_path / "signing.pem", tmp_path / "public.pem"
    create_key_pair(private, public)
    return private, public


@pytest.fixture
def sign(keys, monkeypatch):
    """Set the signing key."""
    monkeypatch.setenv("PDM_MODEL_SIGNING_KEY", str(keys[0]))


@pytest.fixture
def verify(keys, monkeypatch):
    """Set the public key when it is called."""
    return lambda: monkeypatch.setenv("PDM_MODEL_PUBLIC_KEY", str(keys[1]))


def artifacts(registry, version):
    """The folder in which the registry stores a version."""
    uri = registry._client.get_model_version_download_uri(NAME, version)
    return Path(unquote(urlparse(uri).path))


def test_a_signed_version_is_loaded_promoted_and_compared_with(sign, verify, train, registry):
    verify()
    outcome = train("TrainFlow/1")
    assert outcome.level == "production"
    registry.load_scorer("1")
    assert registry.baseline_model().version == "1"
    tags = registry.get_version("1").tags
    assert outcome.file_tags == {name: tags[name] for name in (FILES_TAG, SCORER_TAG, SIGNATURE_TAG)}


def test_an_unsigned_version_is_refused_if_a_public_key_is_set(train, verify, registry):
    train("TrainFlow/1")
    registry.load_scorer("1")
    verify()
    with pytest.raises(
        ModelError, match=r"version 1 of .*: it is not signed \(no tag signature\), and PDM_MODEL_PUBLIC_KEY"
    ):
        registry.load_scorer("1")
    with pytest.raises(ModelError, match="is not signed"):
        registry.promote("1", None)


def test_a_version_signed_with_another_key_is_refused(sign, train, registry, tmp_path, monkeypatch):
    train("TrainFlow/1")
    (tmp_path / "other").mkdir()
    create_key_pair(tmp_path / "other/signing.pem", tmp_path / "other/public.pem")
    monkeypatch.setenv("PDM_MODEL_PUBLIC_KEY", str(tmp_path / "other/public.pem"))
    with pytest.raises(ModelError, match="its signature does not fit PDM_MODEL_PUBLIC_KEY"):
        registry.load_scorer("1")


def test_a_signature_does_not_fit_another_name_run_or_files(sign, train, registry, tmp_path, keys, verify):
    train("TrainFlow/1")
    verify()
    (tmp_path / "work").mkdir()
    folder, version, key = registry.download("1", tmp_path / "work"), registry.get_version("1"), public_key()
    verify_scorer(folder, version, NAME, key)
    with pytest.raises(ModelError, match="does not fit"):
        verify_scorer(folder, version, "another_model", key)
    with pytest.raises(ModelError, match="does not fit"):
        verify_scorer(folder, replace(version, run_id="another run"), NAME, key)
    with pytest.raises(ModelError, match="does not fit"):
        verify_scorer(folder, replace(version, tags={**version.tags, FILES_TAG: "0" * 64}), NAME, key)
    with pytest.raises(ModelError, match="does not fit"):
        verify_scorer(folder, replace(version, tags={**version.tags, SIGNATURE_TAG: "no base64"}), NAME, key)


@pytest.mark.parametrize("file", ["artifacts/scorer/scorer.json", "code/*/scorer/pyfunc.py"])
def test_files_that_were_changed_in_the_registry_are_refused(train, registry, file):
    train("TrainFlow/1")
    (changed,) = artifacts(registry, "1").glob(file)
    changed.write_text(changed.read_text() + "\n")
    with pytest.raises(
        ModelError, match=r"version 1 of .*: its files differ from the registered ones \(tag files_sha256\)"
    ):
        registry.load_scorer("1")


def test_a_version_that_was_loaded_where_it_is_stored_is_still_intact(train, registry):
    import mlflow

    train("TrainFlow/1")
    mlflow.pyfunc.load_model(f"models:/{NAME}/1")
    for module in artifacts(registry, "1").glob("code/**/*.py"):  # as Python does where it may write
        compiled = module.parent / "__pycache__" / f"{module.stem}.pyc"
        compiled.parent.mkdir(exist_ok=True)
        compiled.write_bytes(b"compiled")
    registry.load_scorer("1")


def test_a_version_without_hashes_is_accepted(train, registry):
    train("TrainFlow/1")
    for tag in (FILES_TAG, SCORER_TAG):
        registry._client.delete_model_version_tag(NAME, "1", tag)
    registry.load_scorer("1")


def test_a_key_pair_is_private_and_never_overwritten(keys, tmp_path):
    private, public = keys
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    content = private.read_bytes()
    with pytest.raises(ConfigError, match=r"signing.pem exists: choose another folder"):
        create_key_pair(private, public)
    assert private.read_bytes() == content


@pytest.mark.parametrize("form", ["path", "text", "base64"])
def test_keys_are_read_as_path_text_and_base64(keys, form, monkeypatch):
    private, public = (path.read_text() if form == "text" else str(path) for path in keys)
    if form == "base64":
        key = Ed25519PrivateKey.generate()
        private = base64.b64encode(key.private_bytes_raw()).decode()
        public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    monkeypatch.setenv("PDM_MODEL_SIGNING_KEY", private)
    monkeypatch.setenv("PDM_MODEL_PUBLIC_KEY", public)
    public_key().verify(signing_key().sign(b"content"), b"content")


@pytest.mark.parametrize(
    "value", ["a-secret-value", "-----BEGIN PRIVATE KEY-----\na-secret-value", "/no/such/a-secret-value"]
)
@pytest.mark.parametrize(
    ("variable", "read"), [("PDM_MODEL_SIGNING_KEY", signing_key), ("PDM_MODEL_PUBLIC_KEY", public_key)]
)
def test_a_value_that_is_not_a_key_is_an_error_without_the_value(monkeypatch, value, variable, read):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as error:
        read()
    assert str(error.value).startswith(f"{variable}: not an Ed25519 key")
    assert "a-secret-value" not in str(error.value)
    assert error.value.__cause__ is None
