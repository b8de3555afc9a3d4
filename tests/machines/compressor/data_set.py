"""A data set of a single reading."""

FILE_NAME = "compressors.csv"
LICENCE = "public domain"
HOME = "https://example.org/compressors.csv"


def fetch(path, url=None):
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"address\n{url or HOME}\n")
    return True
