"""Which commands are there? One module each, imported only when it is called.

Start-up stays short: nothing here imports Numba, Arrow or the server.
"""

import sys

import typer

from narfi.cli import info_commands, query_commands
from narfi.cli.sql import sql
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
    http: str = typer.Option("", help="HOST:PORT of the HTTP API."),
    grpc: str = typer.Option("", help="HOST:PORT of the gRPC push service."),
    insecure: bool = typer.Option(False, help="Allow an open address without authentication."),
) -> None:
    """Run the server until it is told to stop."""
    from narfi.cli.serve import run

    run(config, {"data_dir": data_dir, "server.http": http, "server.grpc": grpc}, insecure=insecure)


@app.command()
def agent() -> None:
    """Tail files and push their lines, by a Promtail configuration and its flags."""
    # `main` hands the command line over before it comes to this: its flags are Go's.
    raise AssertionError


@app.command("check-config")
def check_config(
    path: str = typer.Argument(..., help="The file to check."),
    agent: bool = typer.Option(False, help="It configures an agent, not a server."),
    expand_env: bool = typer.Option(False, help="Replace ${NAME} first, in an agent's file."),
) -> None:
    """Tell whether a configuration file can be used."""
    from narfi.cli.check_config import run

    run(path, agent=agent, expand_env=expand_env)


@app.command()
def inspect(path: str = typer.Argument(..., help="Folder of a stored block.")) -> None:
    """Print a stored block as annotated text."""
    from narfi.cli.inspect import run

    run(path)


app.command()(query_commands.query)
app.command("instant-query")(query_commands.instant_query)
app.command()(query_commands.fmt)
app.command()(info_commands.labels)
app.command()(info_commands.series)
app.command()(info_commands.stats)
app.command()(info_commands.volume)
app.command("volume_range")(info_commands.volume_range)
app.command()(sql)
app.command("detected-fields")(info_commands.detected_fields)


def main() -> None:
    """The entry point; errors of ours are one line, Ctrl-C is quiet."""
    try:
        if sys.argv[1:2] == ["agent"]:
            from narfi.cli.agent import run

            sys.exit(run(sys.argv[2:]))
        app(sys.argv[1:])
    except AppError as error:
        print(f"narfi: {error.message}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_ERROR)
