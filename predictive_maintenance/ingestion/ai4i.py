"""The AI4I 2020 data set from its public home, checked: the readings that the project's figures are measured on."""

import hashlib
import io
import zipfile
from pathlib import Path

import httpx

from ..errors import SourceError

HOME = "https://archive.ics.uci.edu/static/public/601/ai4i+2020+predictive+maintenance+dataset.zip"
LICENCE = (
    "AI4I 2020 Predictive Maintenance: S. Matzka, UCI Machine Learning Repository no. 601, doi 10.24432/C5HS5C, CC BY 4.0: "
    "free to use and to share, naming the author"
)
SHA256 = "53d0e7b71f760829a91ec3a9df54c0f044836074a227fe5be5a06bedd0cb1125"
_MEMBER, _SECONDS, _MAX_BYTES = "ai4i2020.csv", 60.0, 16 * 2**20


def fetch(path: Path, url: str = HOME) -> bool:
    """Have the data set at `path`, from `url` (the CSV, or a ZIP archive that holds it): was it fetched?

    Copies of it differ in line ends and byte-order mark; what is written has neither, so that it is the same file everywhere.
    Raises SourceError where it cannot be fetched, is another file, or `path` holds one.
    """
    if path.exists():
        if _sha256(_plain(path.read_bytes())) == SHA256:
            return False
        raise SourceError(f"{path}: is another file than AI4I 2020: move it away, or remove it")
    content = _plain(_csv(_download(url), url))
    if _sha256(content) != SHA256:
        raise SourceError(
            f"{url}: is not the AI4I 2020 that is known here (sha256 {_sha256(content)[:12]}...): nothing written"
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
        with httpx.stream("GET", url, follow_redirects=True, timeout=_SECONDS) as answer:
            answer.raise_for_status()
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > _MAX_BYTES:
                    raise SourceError(f"{url}: is larger than the data set can be")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"{url}: {error}: name a copy elsewhere with --url, or put one in place by hand") from None
    return bytes(content)


def _csv(content: bytes, url: str) -> bytes:
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise SourceError(f"{url}: a ZIP archive without {_MEMBER}, or a damaged one: {error}") from None


def _plain(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
