"""The milling machine's requests get the answers that they got before machines were described, bit for bit.

tests/recorded/milling has a version of format 2 and what the API answered with it before versions carried a description.
`PDM_WRITE_GOLDEN=1 pytest tests/app/test_recorded_answers.py` records the answers again. Read their diff before you commit it.
"""

import json
import os

import pytest

from tests.paths import REPOSITORY

from .conftest import MemoryRegistry, start_client

FOLDER = REPOSITORY / "tests" / "recorded" / "milling"
ANSWERS = FOLDER / "answers.json"


@pytest.fixture(scope="module")
def client(params, checked_files, tmp_path_factory):
    files = {path.name: path.read_bytes() for path in (FOLDER / "version").iterdir()}
    registry = MemoryRegistry(versions={"1": files}, alias="1")
    with start_client(registry, params, tmp_path_factory.mktemp("recorded"), checked_files) as client:
        yield client


def test_every_request_gets_the_recorded_answer(client):
    recorded = json.loads(ANSWERS.read_text())
    answered = [record | answer(client, record) for record in recorded]
    if os.environ.get("PDM_WRITE_GOLDEN"):
        ANSWERS.write_text(json.dumps(answered, indent=1, ensure_ascii=False) + "\n")
    for record, found in zip(recorded, answered, strict=True):
        assert found == record, record["request"]


def answer(client, record):
    headers = {"Content-Type": record["media_type"], "Accept": record["accept"], "X-Request-ID": "recorded"}
    response = client.post(record["path"], content=record["request"].encode(), headers=headers)
    return {"status": response.status_code, "type": response.headers["content-type"], "answer": response.text}
