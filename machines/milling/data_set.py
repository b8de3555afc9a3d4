"""Download the AI4I 2020 data set and verify its checksum. The project's results are measured on it."""

import hashlib
import io
import zipfile
from pathlib import Path

import httpx

from predictive_maintenance.config.uris import redact, redact_text
from predictive_maintenance.errors import SourceError

FILE_NAME = "ai4i2020.csv"
HOME = "https://archive.ics.uci.edu/static/public/601/ai4i+2020+predictive+maintenance+dataset.zip"
LICENCE = (
    "AI4I 2020 Predictive Maintenance: S. Matzka, UCI Machine Learning Repository no. 601, doi 10.24432/C5HS5C, CC BY 4.0: "
    "free to use and share with attribution"
)
SHA256 = "53d0e7b71f760829a91ec3a9df54c0f044836074a227fe5be5a06bedd0cb1125"
_SECONDS, _MAX_BYTES = 60.0, 16 * 2**20


def fetch(path: Path, url: str | None = None) -> bool:
    """Download the data set from `url`, by default HOME, to `path`. Returns False if it is already there.

    The address may be that of the CSV file, or of a ZIP archive with it.

    Copies differ in line ends and byte-order mark. Both are normalised, so that the file is identical everywhere. Raises
    SourceError if the download fails, its checksum differs, or `path` is another file.
    """
    url = url or HOME
    if path.exists():
        if _sha256(_plain(path.read_bytes())) == SHA256:
            return False
        raise SourceError(f"{path}: is not the AI4I 2020 data set; move or remove it")
    content = _plain(_csv(_download(url), url))
    if _sha256(content) != SHA256:
        raise SourceError(
            f"{redact(url)}: is not the AI4I 2020 data set: its sha256 is {_sha256(content)[:12]}..., expected {SHA256[:12]}...; "
            "no file was written"
        )
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}") from None
    return True


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


def _csv(content: bytes, url: str) -> bytes:
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(FILE_NAME)
    except (zipfile.BadZipFile, KeyError) as error:
        raise SourceError(
            f"{redact(url)}: the ZIP archive is damaged or does not contain {FILE_NAME}: {error}"
        ) from None


def _plain(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
