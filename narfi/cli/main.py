"""Which commands are there? One module each, imported only when it is called.

Start-up stays short: nothing here imports Numba, Arrow or the server.
"""

import sys

import typer

from narfi.cli import explore_commands, info_commands, query_commands, state_commands
from narfi.cli.backup import backup
from narfi.cli.context import context as context_command
from narfi.cli.doctor import doctor
from narfi.cli.export import export
from narfi.cli.imports import export_otlp, imports
from narfi.cli.leading_flags import command_first
from narfi.cli.migrate import migrate
from narfi.cli.packs import packs
from narfi.cli.repair import repair
from narfi.cli.restore import restore
from narfi.cli.rules import rules
from narfi.cli.sql import sql
from narfi.cli.token import token
from narfi.cli.verify import verify
from narfi.core.errors import AppError

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Log aggregation that speaks Loki's protocols.",
)


@app.command()
def serve(
    config: str = typer.Option("", help="YAML file; see docs/operations.md."),
    data_dir: str = typer.Option("", help="Folder for journal, catalog and objects."),
    role: str = typer.Option("", help="Of ingester,querier,compactor,ruler; all by default."),
    http: str = typer.Option("", help="HOST:PORT of the HTTP API."),
    grpc: str = typer.Option("", help="HOST:PORT of the gRPC push service."),
    insecure: bool = typer.Option(False, help="Let others in though nobody signs in."),
    expand_env: bool = typer.Option(False, help="Replace ${NAME} in the file first."),
    no_ui: bool = typer.Option(False, "--no-ui", help="Serve no page at /ui/."),
    log_level: str = typer.Option("", "--log.level", help="debug, info, warn or error."),
    log_format: str = typer.Option("", "--log.format", help="logfmt or json."),
) -> None:
    """Run the server until it is told to stop."""
    from narfi.cli.serve import run

    flags = {
        "data_dir": data_dir,
        "roles": role,
        "server.http": http,
        "server.grpc": grpc,
        "server.ui": "false" if no_ui else "",
        "log.level": log_level,
        "log.format": log_format,
    }
    run(config, flags, insecure=insecure, expand_env=expand_env)


_GO_FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_GO_FLAGS)
def agent(context: typer.Context) -> None:
    """Tail files and push their lines, by a Promtail configuration and its flags."""
    from narfi.cli.agent import run

    raise typer.Exit(run(context.args))


@app.command("check-config")
def check_config(
    path: str = typer.Argument(..., help="The file to check."),
    agent: bool = typer.Option(False, help="It configures an agent, not a server."),
    expand_env: bool = typer.Option(False, help="Replace ${NAME} in it first."),
) -> None:
    """Tell whether a configuration file can be used."""
    from narfi.cli.check_config import run

    run(path, agent=agent, expand_env=expand_env)


@app.command()
def inspect(
    path: str = typer.Argument(..., help="Folder of a stored block."),
    as_json: bool = typer.Option(False, "--json", help="As JSON, with every file and column."),
) -> None:
    """Print a stored block as annotated text."""
    from narfi.cli.inspect import run

    run(path, as_json=as_json)


app.command()(query_commands.query)
app.command("instant-query")(query_commands.instant_query)
app.command()(query_commands.fmt)
app.command()(info_commands.labels)
app.command()(info_commands.series)
app.command()(info_commands.stats)
app.command()(info_commands.volume)
app.command("volume_range")(info_commands.volume_range)
app.command()(explore_commands.fields)
app.command()(explore_commands.facets)
app.command()(export)
app.command("context")(context_command)
app.command()(explore_commands.patterns)
app.command()(doctor)
app.command()(state_commands.status)
app.command()(state_commands.queries)
app.command()(state_commands.drain)
app.command()(sql)
app.command()(backup)
app.command()(restore)
app.command()(migrate)
app.command()(verify)
app.command()(repair)
app.add_typer(rules, name="rules")
app.add_typer(packs, name="packs")
app.add_typer(token, name="token")
app.add_typer(imports, name="import")
app.command("export-otlp")(export_otlp)
app.command("detected-fields")(info_commands.detected_fields)


def _log_plainly() -> None:
    """Warnings of a command look as the server's do; `serve` sets its log up by its settings."""
    from narfi.core.log import route_structlog, set_up_log

    set_up_log("warn")
    if sys.argv[1:2] in (
        ["sql"],
        ["inspect"],
        ["rules"],
        ["packs"],
    ):  # which do what the server does
        route_structlog()


def _two_dashes(arguments: list[str]) -> list[str]:
    """Flags of `serve` may have one dash, as Loki's: `-log.level=…`."""
    if arguments[:1] != ["serve"]:
        return arguments
    return [f"-{a}" if a[:1] == "-" and a[1:3].isalpha() and len(a) > 2 else a for a in arguments]


def main() -> None:
    """The entry point; errors of ours are one line, Ctrl-C is quiet."""
    try:
        if sys.argv[1:2] == ["agent"]:  # before anything else looks at Go's flags
            from narfi.cli.agent import run

            sys.exit(run(sys.argv[2:]))
        if sys.argv[1:] == ["--version"]:
            from importlib.metadata import version

            print(f"narfi, version {version('narfi')}")
            return
        _log_plainly()
        app(_two_dashes(command_first(sys.argv[1:])))
    except AppError as error:
        print(f"narfi: {error.message}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_ERROR)
