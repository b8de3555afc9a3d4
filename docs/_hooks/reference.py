"""MkDocs hook for what is generated or checked.

It writes the HTTP API reference from the application's OpenAPI document, inserts files, shows the examples in the command
line's help as code, lists the decision records, and fails the build when a setting or a gate check is not documented.
Pages mark what is inserted with HTML comments, because GitHub shows the same pages and hides these.
"""

import importlib
import inspect
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, get_args

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parents[2]
HTTP_API = "<!-- http-api -->"
FILE = re.compile(r"<!-- file: (\S+\.yaml) -->")
WITHOUT_NAVIGATION = ("index.md", "tutorial.md")
COMMAND_LINE = "reference/cli.md"
COMMAND_MODULES = ("predictive_maintenance.cli.main", "app.__main__", "dashboard.__main__", "deploy.sagemaker.__main__")
JSON_TYPES = ("application/json", "application/problem+json")

Schema = dict[str, Any]


def on_config(config: Any) -> Any:
    """Make the project's packages importable, and add every decision record to the navigation."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    decisions = next(section["Decisions"] for section in config["nav"] if "Decisions" in section)
    for path in sorted(Path(config["docs_dir"], "adr").glob("[0-9]*.md")):
        if (page := f"adr/{path.name}") not in decisions:
            decisions.append(page)
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the markers of files and of the HTTP API reference. Raises PluginError for an incomplete reference page."""
    if page.file.src_uri in WITHOUT_NAVIGATION:
        page.meta["hide"] = ["navigation"]
    if page.file.src_uri == COMMAND_LINE:
        for module in COMMAND_MODULES:
            _keep_help_lines(importlib.import_module(module).main)
    for name in _documented_on(page.file.src_uri):
        if name not in markdown:
            raise PluginError(f"docs/{page.file.src_uri} does not mention {name!r}: document it there")
    markdown = FILE.sub(lambda marker: f"```yaml\n{(ROOT / marker[1]).read_text()}```", markdown)
    return markdown.replace(HTTP_API, http_api()) if HTTP_API in markdown else markdown


def _keep_help_lines(command: Any) -> None:
    """Show paragraphs that click does not wrap (marked by \\b) as code, since Markdown would join their lines."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(
        textwrap.indent(paragraph.removeprefix("\b\n"), "    ") if paragraph.startswith("\b\n") else paragraph
        for paragraph in paragraphs
    )
    for subcommand in getattr(command, "commands", {}).values():
        _keep_help_lines(subcommand)


def _documented_on(page: str) -> list[str]:
    """The names that a reference page must mention, taken from the code."""
    match page:
        case "reference/settings.md":
            from predictive_maintenance.config.params import Params

            return list(Params.model_fields)
        case "reference/machine-description.md":
            from predictive_maintenance.machine.columns import Category, Sensor
            from predictive_maintenance.machine.description import MachineDescription
            from predictive_maintenance.machine.expression import FUNCTIONS
            from predictive_maintenance.machine.history import History, Statistic
            from predictive_maintenance.machine.label import Label
            from predictive_maintenance.machine.sections import Feature, OperatingLimit
            from predictive_maintenance.machine.table_format import TableFormat

            models = (MachineDescription, TableFormat, Category, Sensor, History, Label, Feature, OperatingLimit)
            names = [name for model in models for name in model.model_fields]
            return [f"`{name}`" for name in (*names, *FUNCTIONS, *get_args(Statistic))]
        case "reference/environment.md":
            from app.settings import Settings as ServiceSettings
            from dashboard.settings import Settings as DashboardSettings

            names = {**ServiceSettings.model_fields, **DashboardSettings.model_fields}
            return [f"`PDM_{name.upper()}`" for name in names]
        case "reference/quality-gate.md":
            from predictive_maintenance.evaluation.verdict import CheckName

            return [f"| {check} |" for check in CheckName]
    return []


def http_api() -> str:
    """The routes and schemas of the API as Markdown."""
    from app.factory import create_app
    from app.settings import Settings
    from predictive_maintenance.config.params_file import load_params

    document = create_app(Settings(), load_params(ROOT / "params.yaml")).openapi()
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    lines = ["## Routes", "", *_table(("Route", "Purpose"), [_summary(*entry) for entry in operations])]
    for entry in operations:
        lines += _operation(*entry)
    lines += ["## Schemas", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### {name} {{ #{name.lower()} }}", "", schema.get("description", ""), "", *_fields(schema)]
    return "\n".join(lines)


def _summary(method: str, path: str, operation: Schema) -> tuple[str, str]:
    return f"[`{method.upper()} {path}`](#{_anchor(method, path)})", operation["summary"]


def _operation(method: str, path: str, operation: Schema) -> list[str]:
    lines = [f"### `{method.upper()} {path}` {{ #{_anchor(method, path)} }}", "", operation.get("description", ""), ""]
    if parameters := operation.get("parameters"):
        rows = [
            (f"`{found['name']}`", found["in"], _type(found["schema"]), found.get("description", ""))
            for found in parameters
        ]
        lines += _table(("Parameter", "In", "Type", "Meaning"), rows)
    if body := operation.get("requestBody"):
        lines += _body(body["content"])
    rows = [
        (f"`{status}`", response["description"], _content(response.get("content", {})))
        for status, response in sorted(operation["responses"].items())
    ]
    return lines + _table(("Status", "Meaning", "Body"), rows)


def _body(content: Schema) -> list[str]:
    lines = [f"Request body: {', '.join(f'`{media_type}`' for media_type in content)}.", ""]
    for media_type, body in content.items():
        if media_type not in JSON_TYPES:
            continue
        schema = body["schema"]
        lines += _fields(schema) if "properties" in schema else [_type(schema).capitalize() + ".", ""]
        for example in body.get("examples", {}).values():
            lines += [f"{example['summary']}:", "", "```json", json.dumps(example["value"], indent=2), "```", ""]
    return lines


def _fields(schema: Schema) -> list[str]:
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _type(field), "yes" if name in required else "no", field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    return _table(("Field", "Type", "Required", "Meaning"), rows) if rows else []


def _content(content: Schema) -> str:
    """Media types with the schema of each; the same schema once."""
    shown = []
    for media_type, body in content.items():
        schema = _type(body["schema"]) if "$ref" in body.get("schema", {}) else ""
        shown.append(f"`{media_type}`{f': {schema}' if schema else ''}")
    return ", ".join(shown) or "empty"


def _type(schema: Schema) -> str:
    """A schema's type in words, with a link where it has a name."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf"):
        return " or ".join(_type(choice) for choice in choices)
    if values := schema.get("enum"):
        return "one of " + ", ".join(f"`{value}`" for value in values)
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            items = schema.get("items")
            title = (
                f"{schema['items']['title']} objects" if items and "title" in items and "properties" in items else ""
            )
            return f"array of {title or _type(items)}" if items else "array"
        case "object" if "properties" in schema and "title" in schema:
            return f"a {schema['title']} object"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {_type(schema['additionalProperties'])}"
        case "string" if "format" in schema:
            return f"string ({schema['format']})"
        case None:
            return "any"
        case name:
            return str(name)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    cells = (" | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) for line in lines)
    return [*(f"| {line} |" for line in cells), ""]


def _anchor(method: str, path: str) -> str:
    return f"{method}-{re.sub('[{}]', '', path.strip('/')).replace('/', '-')}"
