"""Download the AI4I 2020 data set and verify its checksum. The project's results are measured on it."""

from pathlib import Path

from predictive_maintenance.ingestion.public_files import fetch_files

FILE_NAME = "ai4i2020.csv"
HOME = "https://archive.ics.uci.edu/static/public/601/ai4i+2020+predictive+maintenance+dataset.zip"
LICENCE = (
    "AI4I 2020 Predictive Maintenance: S. Matzka, UCI Machine Learning Repository no. 601, doi 10.24432/C5HS5C, CC BY 4.0: "
    "free to use and share with attribution"
)
SHA256 = "53d0e7b71f760829a91ec3a9df54c0f044836074a227fe5be5a06bedd0cb1125"


def fetch(path: Path, url: str | None = None) -> bool:
    """Download the data set from `url`, by default HOME, to `path`. Returns False if it is already there.

    The address may be that of the CSV file, or of a ZIP archive with it. Raises SourceError if the download fails, its checksum
    differs, or `path` is another file.
    """
    return fetch_files({path: SHA256}, url or HOME, "AI4I 2020")
