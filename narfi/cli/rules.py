"""`narfi rules`: which commands, with which flags? Each is a module, imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from narfi.cli.flags import Context, connected

rules = typer.Typer(no_args_is_help=True, help="Rules and alerts: files, and those of a server.")

RuleFiles = Annotated[list[Path], typer.Argument(help="Rule files: `groups: [...]`.")]
Names = Annotated[str, typer.Option(help="Only these, with commas between.")]
Start = Annotated[str, typer.Option("--from", help="Start, RFC 3339.")]
End = Annotated[str, typer.Option("--to", help="End, RFC 3339; now by default.")]
Interval = Annotated[str, typer.Option(help="Of groups that have none of their own.")]


@rules.callback()
def _rules() -> None:
    """Rules and alerts."""


def _exit(failed: int) -> None:
    if failed:
        raise typer.Exit(1)


@rules.command()
def check(
    files: RuleFiles,
    strict: Annotated[bool, typer.Option(help="Fail for remarks too.")] = False,
) -> None:
    """Tell what of the files a server would not use, and what is surely not meant."""
    from narfi.cli.rule_check import run

    _exit(run(files, strict=strict))


@rules.command("test")
def run_tests(
    files: Annotated[list[Path], typer.Argument(help="Test files.")],
    run: Annotated[str, typer.Option(help="Only cases in whose name this stands.")] = "",
) -> None:
    """Evaluate rules over given lines, with a clock of the test's own; no server is needed."""
    from narfi.cli.rule_tests import run_files

    _exit(run_files(files, run))


@rules.command("eval")
@connected
def evaluate(
    context: Context,
    files: RuleFiles,
    at: Annotated[str, typer.Option(help="When, RFC 3339; now by default.")] = "",
    from_: Start = "",
    to: End = "",
    rule: Annotated[str, typer.Option(help="Only rules of this name.")] = "",
    interval: Interval = "1m",
) -> None:
    """Evaluate rules of files over a server's logs: at one time, or over a range."""
    from narfi.cli.rule_evaluation import Wanted, run

    wanted = Wanted(at=at, start=from_, end=to, rule=rule, interval=interval)
    _exit(run(context.connection, files, wanted))


@rules.command()
@connected
def backfill(
    context: Context,
    files: RuleFiles,
    from_: Start,
    to: End = "",
    rule: Annotated[str, typer.Option(help="Only rules of this name.")] = "",
    interval: Interval = "1m",
    remote_write: Annotated[str, typer.Option(help="URL of a receiver.")] = "",
    remote_write_header: Annotated[list[str] | None, typer.Option(help="'Name: value'.")] = None,
    output_file: Annotated[Path | None, typer.Option(help="OpenMetrics, for promtool.")] = None,
) -> None:
    """Write the series of recording rules for a time that has passed."""
    from narfi.cli.rule_backfill import Outlet, run
    from narfi.cli.rule_evaluation import Wanted

    outlet = Outlet(remote_write, tuple(remote_write_header or ()), output_file)
    wanted = Wanted(at="", start=from_, end=to, rule=rule, interval=interval)
    run(context.connection, files, wanted, outlet)


@rules.command("list")
@connected
def list_(context: Context) -> None:
    """Print namespaces and groups of a server."""
    from narfi.cli.rule_sync import print_names

    print_names(context.connection)


@rules.command("print")
@connected
def print_(context: Context) -> None:
    """Print all rules of a server as YAML."""
    from narfi.cli.rule_sync import print_all

    print_all(context.connection)


@rules.command()
@connected
def get(context: Context, namespace: str, group: str) -> None:
    """Print one group of a server as YAML."""
    from narfi.cli.rule_sync import print_group

    print_group(context.connection, namespace, group)


@rules.command()
@connected
def load(context: Context, files: RuleFiles) -> None:
    """Bring the groups of files to a server; others stay."""
    from narfi.cli.rule_sync import Scope, sync

    sync(context.connection, files, Scope(), removing=False)


@rules.command()
@connected
def delete(context: Context, namespace: str, group: str) -> None:
    """Remove a group from a server."""
    from narfi.cli.rule_sync import remove

    remove(context.connection, namespace, group)


@rules.command()
@connected
def diff(
    context: Context, files: RuleFiles, namespaces: Names = "", ignored_namespaces: Names = ""
) -> None:
    """Print what `sync` would change; exit status 1 when there is something."""
    from narfi.cli.rule_sync import Scope, print_difference

    _exit(print_difference(context.connection, files, Scope.of(namespaces, ignored_namespaces)))


@rules.command()
@connected
def sync(
    context: Context, files: RuleFiles, namespaces: Names = "", ignored_namespaces: Names = ""
) -> None:
    """Make a server's rules those of the files: groups that are in no file are removed."""
    from narfi.cli import rule_sync

    scope = rule_sync.Scope.of(namespaces, ignored_namespaces)
    rule_sync.sync(context.connection, files, scope, removing=True)
