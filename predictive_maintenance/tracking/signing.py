"""Sign model versions with Ed25519 and verify their files, so that only training can make versions that are served.

A signature covers the registered model's name, the run id and the hashes of the files. It does not cover tags, aliases or
the version number: a user who can write to the registry can promote any signed version, as a rollback does.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, ModelError
from .entities import FILES_TAG, SCORER_TAG, SIGNATURE_TAG, ModelVersion
from .packaging import scorer_sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY_VARIABLE, PUBLIC_KEY_VARIABLE = "PDM_MODEL_SIGNING_KEY", "PDM_MODEL_PUBLIC_KEY"
_CONTEXT = b"predictive-maintenance model version 1\n"
"""Precedes what is signed, so that a signature made for another purpose never fits."""


def signing_key() -> Ed25519PrivateKey | None:
    """The private key in PDM_MODEL_SIGNING_KEY; None if it is not set. Raises ConfigError if it is not a key."""
    if not (value := os.environ.get(SIGNING_KEY_VARIABLE)):
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _parse_key(
        SIGNING_KEY_VARIABLE,
        value,
        lambda pem: load_pem_private_key(pem, password=None),
        Ed25519PrivateKey.from_private_bytes,
    )
    if not isinstance(key, Ed25519PrivateKey):
        raise _invalid(SIGNING_KEY_VARIABLE)
    return key


def public_key() -> Ed25519PublicKey | None:
    """The public key in PDM_MODEL_PUBLIC_KEY; None if it is not set. Raises ConfigError if it is not a key."""
    return parse_public_key(os.environ.get(PUBLIC_KEY_VARIABLE))


def parse_public_key(value: str | None) -> Ed25519PublicKey | None:
    """The public key in a value of PDM_MODEL_PUBLIC_KEY; None for no value. Raises ConfigError if it is not a key."""
    if not value:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = _parse_key(PUBLIC_KEY_VARIABLE, value, load_pem_public_key, Ed25519PublicKey.from_public_bytes)
    if not isinstance(key, Ed25519PublicKey):
        raise _invalid(PUBLIC_KEY_VARIABLE)
    return key


def create_key_pair(private: Path, public: Path) -> None:
    """Write a new key pair as PEM files; the private one is readable by its owner only. Raises ConfigError if one exists."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    contents = (
        (private, 0o600, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        (public, 0o644, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    )
    if existing := [str(path) for path in (private, public) if path.exists()]:
        raise ConfigError(f"{existing[0]} exists: choose another folder, or move it away")
    for path, mode, content in contents:
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def signature_tags(key: Ed25519PrivateKey, model_name: str, run_id: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tag with the signature of a version whose hashes are in `tags`."""
    signature = key.sign(_statement(model_name, run_id, tags))
    return {SIGNATURE_TAG: base64.b64encode(signature).decode()}


def verify_scorer(folder: Path, version: ModelVersion, model_name: str, key: Ed25519PublicKey | None) -> None:
    """Raise ModelError if the scorer in `folder` differs from the registered one or, with a `key`, is not signed by it.

    Versions that were registered without a hash are accepted, if no `key` is given.
    """
    expected = version.tags.get(SCORER_TAG)
    if expected is not None and scorer_sha256(folder) != expected:
        raise ModelError(
            f"its files differ from the registered ones (tag {SCORER_TAG}): train or promote another version"
        )
    if key is not None:
        _verify_signature(version, model_name, key)


def _verify_signature(version: ModelVersion, model_name: str, key: Ed25519PublicKey) -> None:
    from cryptography.exceptions import InvalidSignature

    if missing := [tag for tag in (SIGNATURE_TAG, SCORER_TAG, FILES_TAG) if tag not in version.tags]:
        raise ModelError(
            f"it is not signed (no tag {missing[0]}), and {PUBLIC_KEY_VARIABLE} requires it: train with "
            f"{SIGNING_KEY_VARIABLE} set, or promote a signed version"
        )
    try:
        signature = base64.b64decode(version.tags[SIGNATURE_TAG], validate=True)
        key.verify(signature, _statement(model_name, version.run_id, version.tags))
    except (InvalidSignature, binascii.Error):
        raise ModelError(
            f"its signature does not fit {PUBLIC_KEY_VARIABLE}, the model name {model_name!r} and its run and files: "
            "promote a version that was signed with the matching key"
        ) from None


def _statement(model_name: str, run_id: str, tags: Mapping[str, str]) -> bytes:
    signed = {"model_name": model_name, "run_id": run_id, FILES_TAG: tags[FILES_TAG], SCORER_TAG: tags[SCORER_TAG]}
    return _CONTEXT + json.dumps(signed, sort_keys=True).encode()


def _parse_key(
    variable: str, value: str, from_pem: Callable[[bytes], object], from_raw: Callable[[bytes], object]
) -> object:
    """The key in the value of a variable: a PEM text, the path of a PEM file, or 32 bytes in base64."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        if "-----BEGIN" in value:
            return from_pem(value.encode())
        path = Path(value.strip()).expanduser()
        return from_pem(path.read_bytes()) if path.is_file() else from_raw(base64.b64decode(value, validate=True))
    except (ValueError, TypeError, OSError, UnsupportedAlgorithm):
        raise _invalid(variable) from None  # without the cause, whose text may contain the key


def _invalid(variable: str) -> ConfigError:
    return ConfigError(f"{variable}: not an Ed25519 key: set it to the path of a PEM file, to its text, or to base64")
