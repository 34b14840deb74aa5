"""`narfi packs`: which commands, with which flags? Each is a module, imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from narfi.cli.flags import Context, connected

packs = typer.Typer(
    no_args_is_help=True, help="Packs: how the neighbours' logs are read and asked."
)

FORMATS = "agent, promtail, alloy, otelcol, kustomize, grafana or rules."
Name = Annotated[str, typer.Argument(help="A pack's name, or a folder such as ./my-pack.")]
Names = Annotated[list[str], typer.Argument(help="Names, or folders such as ./my-pack.")]


@packs.callback()
def _packs() -> None:
    """Packs."""


@packs.command("list")
def list_() -> None:
    """Print a line a pack."""
    from narfi.cli.packs_list import run

    if not run():
        raise typer.Exit(1)


@packs.command()
def show(name: Name) -> None:
    """Print what a pack says of itself: README, labels, fields, questions, alerts."""
    from narfi.cli.packs_show import run

    run(name)


@packs.command()
def render(
    names: Names,
    set_: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE.")] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format", help="agent, promtail, alloy, otelcol, kustomize, grafana, rules."
        ),
    ] = "agent",
) -> None:
    """Print a configuration that holds everything of the packs."""
    from narfi.cli.packs_render import run

    run(names, set_ or [], format_)


@packs.command("test")
def run_test(
    names: Annotated[list[str] | None, typer.Argument(help="Packs; all by default.")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="A folder with a folder of samples for each system.")
    ] = None,
    draft: Annotated[
        bool, typer.Option(help="First write what comes of samples without expectations.")
    ] = False,
) -> None:
    """Run samples through the agent into a server and ask; exit status 0 only when all is well."""
    from narfi.cli.packs_test import run

    if run(names or [], samples, draft=draft):
        raise typer.Exit(1)


@packs.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the pack, or the folder to make.")],
    from_: Annotated[Path, typer.Option("--from", help="A file of its lines.")],
) -> None:
    """Draft a pack from lines: stages from their shapes, samples, what is expected."""
    from narfi.cli.packs_new import run

    run(name, from_)


@packs.command()
def detect(file: Annotated[Path, typer.Argument(help="A file of lines.")]) -> None:
    """Tell which formats of which packs read how many of the lines."""
    from narfi.cli.packs_detect import run

    run(file)


@packs.command()
@connected
def apply(context: Context, names: Names) -> None:
    """Bring the packs' rule groups to a server, as namespace `pack-NAME`."""
    from narfi.cli.packs_apply import run

    run(context.connection, names)
