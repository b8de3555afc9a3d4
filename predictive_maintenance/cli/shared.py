"""What the commands share: command classes, options, and access to the settings and the registry."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config.commands import PROGRAM, command, flow_command
from ..errors import PredictiveMaintenanceError

if TYPE_CHECKING:
    import httpx

    from ..config.params import Params
    from ..store.store import Store
    from ..tracking.entities import ModelVersion
    from ..tracking.model_registry import ModelRegistry

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
FORMER_COMMANDS = {"fetch-ai4i": "fetch"}

_SERVICE_TIMEOUT_SECONDS = 120.0
_MACHINE = "predictive_maintenance.machine"
_STORE_TIMEOUT_SECONDS = 30.0


def _remember_machine(ctx: click.Context, _option: click.Parameter, name: str | None) -> None:
    ctx.meta[_MACHINE] = name


machine_option = click.option(
    "--machine",
    metavar="NAME",
    expose_value=False,
    callback=_remember_machine,
    help="Kind of machine.  [default: PDM_MACHINE, or the one in params.yaml]",
)
run_option = click.option("--run", metavar="ID", help="The id of a run.  [default: the newest successful run]")
url_option = click.option(
    "--url", default="http://127.0.0.1:8000", show_default=True, help="The address of the service."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output file if it exists.")


class Command(click.Command):
    """A command whose examples in the help name the program as it was started."""

    def get_help(self, ctx: click.Context) -> str:
        return _with_program_name(super().get_help(ctx), ctx)


class Group(click.Group):
    """A group that prints the package's errors without a traceback and exits with code 1. It knows FORMER_COMMANDS."""

    command_class = Command

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, FORMER_COMMANDS.get(cmd_name, cmd_name))

    def get_help(self, ctx: click.Context) -> str:
        return _with_program_name(super().get_help(ctx), ctx)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PredictiveMaintenanceError as error:
            raise click.ClickException(str(error)) from None


class RenamedOption(click.Option):
    """An option whose old name still works but does not appear in the help."""

    def __init__(self, *args: Any, old_name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._old_name = old_name

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        names = self.opts
        self.opts = [*names, self._old_name]
        super().add_to_parser(parser, ctx)
        self.opts = names


def program_name() -> str:
    """The program as a person starts it: `predictive-maintenance`, `python -m predictive_maintenance`, or in a container."""
    context = click.get_current_context(silent=True)
    return command((context and context.find_root().info_name) or PROGRAM)


def train_command() -> str:
    """The command that trains the machine of this command, with its settings."""
    context = click.get_current_context(silent=True)
    params_file = context.find_object(Path) if context else None
    settings = f"--config settings {shlex.quote(str(params_file))} " if params_file else ""
    return flow_command(f"{settings}run{machine_argument()}")


def machine_argument() -> str:
    """The option --machine as it was given, for the next commands; '' without it."""
    name = given_machine()
    return f" --machine {name}" if name else ""


def promote_command(version: ModelVersion) -> str:
    """The command that promotes `version`, with --force if its verdict needs it."""
    force = " --force" if version.verdict and version.verdict.level != "production" else ""
    return f"{program_name()} promote {version.version}{force}{machine_argument()}"


def load_settings(params_file: Path | None) -> Params:
    """Load params.yaml, or the file given by --params, for its machine or the one given by --machine."""
    from ..config.params_file import load_params

    return load_params(params_file, given_machine())


def load_served_settings(params_file: Path | None) -> Params:
    """Settings of `load_settings` with the registered model in PDM_MODEL_NAME: that of the service, whose store is read."""
    from ..config.params import parse_params
    from ..config.serving_params import MODEL_NAME_VARIABLE

    params = load_settings(params_file)
    if not (name := os.environ.get(MODEL_NAME_VARIABLE)):
        return params
    raw = params.model_dump(mode="json")
    return parse_params(raw | {"registry": raw["registry"] | {"model_name": name}}, MODEL_NAME_VARIABLE)


def given_machine() -> str | None:
    """The kind of machine that --machine names, if it is given."""
    context = click.get_current_context(silent=True)
    return context.meta.get(_MACHINE) if context else None


def open_registry(params: Params) -> ModelRegistry:
    """Connect to the model registry."""
    from ..tracking.connection import connect
    from ..tracking.model_registry import ModelRegistry

    return ModelRegistry(connect(params.registry))


def service_client(url: str) -> httpx.Client:
    """A client of the running service at `url`, with the key in PDM_API_KEY. Raises ClickException if one cannot be used."""
    import httpx

    from ..config.header_secret import header_secret
    from ..config.uris import redact
    from ..config.web_address import is_web_address

    if not is_web_address(url):
        shown = redact(url) if "://" in url else url.rpartition("@")[2]
        raise click.ClickException(f"--url {shown}: write http://HOST:8000")
    try:
        key = header_secret(os.environ.get("PDM_API_KEY", ""))
    except ValueError as error:
        raise click.ClickException(f"PDM_API_KEY {error}") from None
    return httpx.Client(base_url=url, timeout=_SERVICE_TIMEOUT_SECONDS, headers={"X-API-Key": key} if key else {})


@contextmanager
def open_service_store() -> Iterator[Store]:
    """The store of the service during the block. An SQLite file that does not exist is an error."""
    from ..store.location import database_file, parse_store_url, store_url
    from ..store.store import Store

    url = store_url()
    file = database_file(parse_store_url(url))
    if file is not None and not file.exists():
        raise click.ClickException(
            f"{file}: there is no store: start the service with PDM_STORE_URL, and set the same PDM_STORE_URL here"
        )
    store = Store.open(url, timeout_seconds=_STORE_TIMEOUT_SECONDS, create=False)
    try:
        yield store
    finally:
        store.close()


def count(number: int, noun: str) -> str:
    """`number` with its noun: "1 row", "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_reasons(reasons: Iterable[tuple[tuple[str, str], int]]) -> None:
    """Print for how many cells of a column, or for how many rows, each reason holds."""
    from ..inference.files import WHOLE_ROW

    for (column, reason), cells in reasons:
        what = count(cells, "row") if column == WHOLE_ROW else f"{count(cells, 'cell')} of {column}"
        click.echo(f"  {what}: {reason}")


def check_output(output: Path, overwrite: bool) -> None:
    """Stop with an error if `output` exists, unless it may be overwritten."""
    if output.exists() and not overwrite:
        raise click.ClickException(f"{output} already exists: choose another --output, or add --overwrite")


def _with_program_name(text: str, ctx: click.Context) -> str:
    name = ctx.find_root().info_name or PROGRAM
    return text.replace(f"{PROGRAM} ", f"{name} ")
