"""Read DVC's metadata of a file from `.dvc` files and `.dvc/config`, without importing DVC, which takes a second."""

import configparser
import hashlib
from pathlib import Path

import yaml

from ..config.sources import RemoteCopy
from ..config.uris import redact, scheme_of, written_out_secret
from ..errors import SourceError


def dvc_md5(path: Path) -> str | None:
    """The md5 in the `.dvc` file of `path` or of a parent folder; None if DVC tracks neither."""
    path = path.absolute()
    for tracked in (path, *path.parents):
        if tracked.name and (dvc_file := dvc_file_of(tracked)).is_file():
            try:
                return str(yaml.safe_load(dvc_file.read_text(encoding="utf-8"))["outs"][0]["md5"])
            except (yaml.YAMLError, OSError, LookupError, TypeError):
                raise SourceError(f"{dvc_file}: not a valid .dvc file; correct or remove it") from None
        if (tracked / ".dvc").is_dir():
            return None
    return None


def dvc_file_of(path: Path) -> Path:
    """The `.dvc` file of a file or folder that DVC tracks."""
    return path.with_name(path.name + ".dvc")


def remote_copy(path: Path) -> RemoteCopy | None:
    """The copy of `path` in the default DVC remote; None if DVC does not track it.

    Of the file's current content or, if the file is missing, of the tracked one. Raises SourceError if other machines
    cannot read the remote.
    """
    tracked = dvc_md5(path)
    if tracked is None:
        return None
    md5 = md5_of(path) if path.is_file() else tracked
    root = next(folder for folder in path.absolute().parents if (folder / ".dvc").is_dir())
    url, endpoint = default_remote(root)
    return RemoteCopy(
        path=str(path), url=f"{url.rstrip('/')}/files/md5/{md5[:2]}/{md5[2:]}", md5=md5, dvc_md5=tracked,
        endpoint_url=endpoint,
    )  # fmt: skip


def default_remote(root: Path) -> tuple[str, str | None]:
    """(URL, S3 endpoint) of the default remote. Raises SourceError if other machines cannot read it."""
    settings = _settings(root)
    name = remote_name(root)
    section = f"'remote \"{name}\"'"
    url = settings.get(section, "url", fallback="")
    if not url:
        raise SourceError(
            f"{root / '.dvc' / 'config'}: no default remote; run `dvc remote add --default NAME s3://BUCKET/PREFIX`"
        )
    if scheme_of(url) not in ("s3", "http", "https"):
        raise SourceError(
            f"DVC remote {name!r}: {redact(url)} cannot be read from other machines; use s3:// or https://"
        )
    if secret := written_out_secret(url):
        raise SourceError(
            f"DVC remote {name!r}: its URL contains {secret}, which a job's settings would show; set it in the environment"
        )
    return url, settings.get(section, "endpointurl", fallback=None)


def remote_name(root: Path) -> str | None:
    """The name of the default remote; None if there is none."""
    return _settings(root).get("core", "remote", fallback=None)


def _settings(root: Path) -> configparser.ConfigParser:
    files = [root / ".dvc" / "config", root / ".dvc" / "config.local"]
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        raise SourceError(f"{files[0]}: not a valid DVC configuration; correct it") from None
    return settings


def md5_of(path: Path) -> str:
    """The md5 of a file's bytes, by which DVC stores it. Not for security."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
