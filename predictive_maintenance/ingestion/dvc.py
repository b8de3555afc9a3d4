"""What DVC knows of a file, read from the files that it keeps beside the data: no import of DVC, which takes a second."""

import configparser
import hashlib
from pathlib import Path

import yaml

from ..config.sources import RemoteCopy
from ..config.uris import redact, scheme_of, written_out_secret
from ..errors import SourceError


def dvc_md5(path: Path) -> str | None:
    """The md5 under which DVC tracks `path` itself or a folder that holds it, from the `.dvc` file beside it."""
    path = path.absolute()
    for tracked in (path, *path.parents):
        if tracked.name and (pointer := pointer_of(tracked)).is_file():
            try:
                return str(yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0]["md5"])
            except (yaml.YAMLError, OSError, LookupError, TypeError):
                raise SourceError(f"{pointer}: not a file that DVC wrote: mend or remove it") from None
        if (tracked / ".dvc").is_dir():
            return None
    return None


def pointer_of(path: Path) -> Path:
    """The `.dvc` file that DVC writes beside what it tracks."""
    return path.with_name(path.name + ".dvc")


def remote_copy(path: Path) -> RemoteCopy | None:
    """Where DVC's remote keeps `path` as it is now, or as its pointer has it; None for what DVC does not track.

    Raises SourceError where that is no place that another machine can read.
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
    """(URL, S3 endpoint) of the remote that `dvc push` takes when it is told none."""
    settings = _settings(root)
    name = remote_name(root)
    section = f"'remote \"{name}\"'"
    url = settings.get(section, "url", fallback="")
    if not url:
        raise SourceError(
            f"{root / '.dvc' / 'config'}: no default remote: `dvc remote add --default NAME s3://BUCKET/PREFIX`"
        )
    if scheme_of(url) not in ("s3", "http", "https"):
        raise SourceError(f"DVC's remote {name!r} is {redact(url)}: another machine reads s3:// and https:// only")
    if secret := written_out_secret(url):
        raise SourceError(f"DVC's remote {name!r} holds {secret}: a job's settings can be read by others")
    return url, settings.get(section, "endpointurl", fallback=None)


def remote_name(root: Path) -> str | None:
    """What that remote is called; None where there is none."""
    return _settings(root).get("core", "remote", fallback=None)


def _settings(root: Path) -> configparser.ConfigParser:
    files = [root / ".dvc" / "config", root / ".dvc" / "config.local"]
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        raise SourceError(f"{files[0]}: not a file that DVC wrote: mend it") from None
    return settings


def md5_of(path: Path) -> str:
    """The md5 of a file's bytes, which is what DVC files it under; no protection is asked of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
