"""Download the part FD001 of the C-MAPSS data set, and verify its checksums."""

from pathlib import Path

from predictive_maintenance.ingestion.public_files import fetch_files

FILE_NAME = "train_FD001.txt"
HOME = "https://data.nasa.gov/docs/legacy/CMAPSSData.zip"
LICENCE = (
    "C-MAPSS FD001: A. Saxena and K. Goebel, Turbofan Engine Degradation Simulation Data Set, NASA Prognostics Data Repository, "
    "NASA Ames Research Center, 2008: a work of the US government, without copyright in the USA"
)
SHA256 = {
    FILE_NAME: "963b5e22825b34d8b21c69e1aeb4af3e647050eb672ee8834ba4b5d91d2de0f8",
    "test_FD001.txt": "3cda7109ce17bafb5443f2ac926cfcf88154b941b8c4cf95eb55d1ddd6f52851",
    "RUL_FD001.txt": "a19c8ec94931949d0485bdc35118206e9c81c4547b422efb9cf86f4ceddbceca",
}


def fetch(path: Path, url: str | None = None) -> bool:
    """Download the training set from `url`, by default HOME, to `path`, and the test set beside it.

    Returns False if all files are already there. The address is that of a ZIP archive. Raises SourceError if the download fails,
    a checksum differs, or a path is another file.
    """
    others = {path.with_name(name): sha256 for name, sha256 in SHA256.items() if name != FILE_NAME}
    return fetch_files({path: SHA256[FILE_NAME]} | others, url or HOME, "C-MAPSS FD001")
