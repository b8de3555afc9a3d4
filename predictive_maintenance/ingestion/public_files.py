"""Download the files of a public data set, and verify their checksums."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import httpx

from ..config.uris import redact, redact_text
from ..errors import SourceError

_SECONDS, _MAX_BYTES = 60.0, 16 * 2**20


def fetch_files(wanted: Mapping[Path, str], url: str, data_set: str) -> bool:
    """Download files from `url`, a ZIP archive or a single file. Returns False if all of them are already there.

    `wanted` maps the path of each file to its sha256; a file of an archive has the name of its path, in any folder of the
    archive. `data_set` is the name for people. Copies differ in line ends and byte-order mark. Both are normalised, so that the
    files are identical everywhere. Raises SourceError if the download fails, a checksum differs, or a path is another file.
    """
    missing = {path: sha256 for path, sha256 in wanted.items() if not _is_there(path, sha256, data_set)}
    if not missing:
        return False
    content = _download(url)
    files = {path: _plain(_file(content, path.name, url)) for path in missing}
    for path, sha256 in missing.items():
        if (found := _sha256(files[path])) != sha256:
            raise SourceError(
                f"{redact(url)}: is not the {data_set} data set: its sha256 is {found[:12]}..., expected {sha256[:12]}...; "
                "no file was written"
            )
    for path, plain in files.items():
        _write(path, plain)
    return True


def _is_there(path: Path, sha256: str, data_set: str) -> bool:
    if not path.exists():
        return False
    if _sha256(_plain(path.read_bytes())) == sha256:
        return True
    raise SourceError(f"{path}: is not the {data_set} data set; move or remove it")


def _download(url: str) -> bytes:
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=_SECONDS) as response:
            response.raise_for_status()
            content = bytearray()
            for part in response.iter_bytes():
                content += part
                if len(content) > _MAX_BYTES:
                    raise SourceError(
                        f"{redact(url)}: is larger than {_MAX_BYTES // 2**20} MiB, so it is not the data set"
                    )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        reason = redact_text(str(error), url)
        raise SourceError(
            f"{redact(url)}: {reason}; give another address with --url, or copy the file yourself"
        ) from None
    return bytes(content)


def _file(content: bytes, name: str, url: str) -> bytes:
    """The file `name` of a ZIP archive, or `content` if it is no archive."""
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = next((each for each in archive.namelist() if each.rpartition("/")[2] == name), name)
            return archive.read(member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise SourceError(f"{redact(url)}: the ZIP archive is damaged or does not contain {name}: {error}") from None


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}") from None


def _plain(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
