"""`narfi doctor`: what is wrong with a server or an agent, and what is to be done?

It looks at the configuration and what it names (disk, catalog, object store), asks the running
server how it is, and tries what a client needs. Exit status 0: no problem, 1: problems.
"""

from pathlib import Path
from typing import Annotated

import typer

from narfi.cli.findings import Finding, print_findings
from narfi.cli.flags import Context, connected


@connected
def doctor(
    context: Context,
    config: Annotated[str, typer.Option(help="The server's YAML file.")] = "",
    data_dir: Annotated[str, typer.Option("--data-dir", help="The server's data folder.")] = "",
    agent: Annotated[str, typer.Option(help="An agent's file: look at the agent instead.")] = "",
    expand_env: Annotated[bool, typer.Option(help="Replace ${NAME} in the file first.")] = False,
    offline: Annotated[bool, typer.Option(help="Ask no running process.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what is wrong, and what to do; of an agent with --agent FILE."""
    found: list[Finding]
    if agent:
        from narfi.cli.doctor_agent import agent_findings

        found = list(agent_findings(Path(agent), expand_env=expand_env, offline=offline))
    else:
        from narfi.cli.doctor_here import here_findings, settings_here
        from narfi.cli.doctor_server import server_findings

        settings, found = settings_here(config, data_dir, expand_env=expand_env)
        if settings is not None:
            found += here_findings(settings)
        if not offline:
            found += server_findings(context.connection, settings)
    print_findings(found, as_json=as_json, quiet=context.quiet)
    if any(one.level == "problem" for one in found):
        raise typer.Exit(1)
