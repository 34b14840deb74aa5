"""Which commands are there? One module each, imported only when it is called.

Start-up stays short: nothing here imports Numba, Arrow or the server.
"""

import sys

import typer

from narfi.cli import info_commands, query_commands
from narfi.cli.backup import backup
from narfi.cli.repair import repair
from narfi.cli.restore import restore
from narfi.cli.sql import sql
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
    http: str = typer.Option("", help="HOST:PORT of the HTTP API."),
    grpc: str = typer.Option("", help="HOST:PORT of the gRPC push service."),
    insecure: bool = typer.Option(False, help="Allow an open address without authentication."),
) -> None:
    """Run the server until it is told to stop."""
    from narfi.cli.serve import run

    run(config, {"data_dir": data_dir, "server.http": http, "server.grpc": grpc}, insecure=insecure)


@app.command()
def agent(
    config: str = typer.Option(..., "--config", "--config.file", help="Promtail-style YAML file."),
    expand_env: bool = typer.Option(
        False, "--expand-env", "--config.expand-env", help="Replace ${NAME} by the environment's."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print entries instead of pushing."),
    stdin: bool = typer.Option(False, "--stdin", help="Read lines from the standard input."),
    inspect: bool = typer.Option(False, "--inspect", help="Show what each stage does."),
    check_syntax: bool = typer.Option(False, "--check-syntax", help="Only check the file."),
    print_config: bool = typer.Option(
        False, "--print-config-stderr", help="Print the effective configuration."
    ),
    client_url: str = typer.Option("", "--client.url", help="One more server to push to."),
    tenant_id: str = typer.Option("", "--client.tenant-id", help="Tenant of that server."),
    external_labels: str = typer.Option(
        "", "--client.external-labels", help="k=v,k=v: labels for all servers."
    ),
    positions_file: str = typer.Option("", "--positions.file", help="Instead of the file's."),
    http_port: int = typer.Option(None, "--server.http-listen-port", help="Port of its own pages."),
    log_level: str = typer.Option("", "--log.level", help="debug, info, warn or error."),
) -> None:
    """Tail files and push their lines, by a Promtail configuration."""
    from narfi.cli.agent import AgentFlags, run

    flags = AgentFlags(
        config=config,
        expand_env=expand_env,
        dry_run=dry_run,
        stdin=stdin,
        inspect=inspect,
        check_syntax=check_syntax,
        print_config=print_config,
        client_url=client_url,
        tenant_id=tenant_id,
        external_labels=external_labels,
        positions_file=positions_file,
        http_port=http_port,
        log_level=log_level,
    )
    run(flags)


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
app.command()(backup)
app.command()(restore)
app.command()(verify)
app.command()(repair)
app.command("detected-fields")(info_commands.detected_fields)


def _promtail_style(arguments: list[str]) -> list[str]:
    """Flags of `agent` may have one dash, as Promtail's: `-config.file=…`."""
    if arguments[:1] != ["agent"]:
        return arguments
    return ["agent", *(f"-{a}" if _has_one_dash(a) else a for a in arguments[1:])]


def _has_one_dash(argument: str) -> bool:
    return argument[:1] == "-" and len(argument) > 2 and argument[1:3].isalpha()


def main() -> None:
    """The entry point; errors of ours are one line, Ctrl-C is quiet."""
    try:
        app(_promtail_style(sys.argv[1:]))
    except AppError as error:
        print(f"narfi: {error.message}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_ERROR)
