"""The generated files are current, and the JSON Schema accepts and refuses what the models do."""

import json
import runpy

import jsonschema
import pytest

from predictive_maintenance.config.yaml_reader import read_plain_yaml
from tests.fixtures.described_machines import FILES
from tests.paths import REPOSITORY


@pytest.fixture(scope="module")
def generate():
    return runpy.run_path(str(REPOSITORY / "machines" / "generate.py"))


@pytest.fixture(scope="module")
def validator():
    schema = json.loads((REPOSITORY / "docs" / "reference" / "machine.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema)


def test_every_generated_file_is_current(generate):
    for path, text in generate["generated"]().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is not current: run make machine-files"


def test_an_outdated_file_is_named_by_the_check_and_mended_without_it(generate, tmp_path, monkeypatch, capsys):
    main = generate["main"]
    names = main.__globals__
    monkeypatch.setitem(names, "ROOT", tmp_path)
    monkeypatch.setitem(names, "generated", lambda: {tmp_path / "a.json": "{}\n"})
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == "a.json: not current: run make machine-files\n"
    assert main([]) == 0
    assert main(["--check"]) == 0


@pytest.mark.parametrize("name", FILES)
def test_editors_find_the_schema_and_accept_each_description(validator, name):
    text = FILES[name].read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (FILES[name].parent / first.partition("=")[2]).resolve().name == "machine.schema.json"
    assert (FILES[name].parent / first.partition("=")[2]).is_file()
    validator.validate(read_plain_yaml(text, name))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(sensor={}),
        lambda raw: raw["sensors"]["strokes"].update(rnge=[0, 1]),
        lambda raw: raw["sensors"]["strokes"].pop("range"),
        lambda raw: raw["sensors"].update({"Bad Name": raw["sensors"]["strokes"]}),
        lambda raw: raw.update(group="tool"),
        lambda raw: raw["operating_limits"][0].update(minimum="low"),
    ],
)
def test_editors_mark_what_the_models_refuse(validator, change):
    raw = read_plain_yaml(FILES["compressor"].read_text(encoding="utf-8"), "x")
    change(raw)
    assert list(validator.iter_errors(raw))
