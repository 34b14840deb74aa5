"""`narfi agent`: read logs and push their lines, by a Promtail configuration and its flags."""

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from narfi.cli.agent_flags import FLAGS, WITHOUT_EFFECT, given_keys
from narfi.cli.go_flags import FlagError, HelpAsked, parse_flags, usage
from narfi.core.errors import AppError
from promtail_agent.agent import RunOptions
from promtail_agent.client.printer import FORMS
from promtail_agent.config import AgentConfig
from promtail_agent.config_file import load_agent_config
from promtail_agent.own_server import config_text
from promtail_agent.run import run_agent

EXIT_ERROR, EXIT_USAGE = 1, 2


def run(arguments: Sequence[str]) -> int:
    """Run until a signal, or only check; the exit status."""
    try:
        parsed = parse_flags(arguments, FLAGS)
        if parsed.values.get("output", FORMS[0]) not in FORMS:
            text = parsed.values["output"]
            raise FlagError(f'invalid value "{text}" for flag -output: one of {", ".join(FORMS)}')
    except HelpAsked:
        print(usage("narfi agent", FLAGS))
        return 0
    except FlagError as error:
        print(f"{error}\nnarfi agent -help lists the flags", file=sys.stderr)
        return EXIT_USAGE
    values = parsed.values
    if values.get("version"):
        print(f"narfi agent, version {version('narfi')}")
        return 0
    if values.get("check-syntax"):
        return _check(values)
    if values.get("print-config-stderr"):
        print(config_text(_load(values)), file=sys.stderr)
    options = RunOptions(
        dry_run=bool(values.get("dry-run")),
        output=str(values.get("output", FORMS[0])),
        stdin=bool(values.get("stdin")),
        inspect=bool(values.get("inspect")),
        notices=_notices(values, parsed.rest),
        logs_config=bool(values.get("log-config-reverse-order")),
    )
    run_agent(lambda: _load(values), options)
    return 0


def _file(values: Mapping[str, object]) -> str:
    return str(values.get("config.file") or values.get("config") or "")


def _load(values: Mapping[str, Any]) -> AgentConfig:
    """The file with what the command line says instead."""
    given = given_keys(values)
    expands = bool(values.get("config.expand-env") or values.get("expand-env"))
    return load_agent_config(
        _file(values), expands, given.overrides, given.client, given.external_labels
    )


def _check(values: Mapping[str, object]) -> int:
    if not _file(values):
        print("Invalid config file", file=sys.stderr)
        return EXIT_ERROR
    try:
        notices = _load(values).notices
    except AppError as error:
        print(f"Unable to parse config: {error.message}", file=sys.stderr)
        return EXIT_ERROR
    for notice in notices:
        print(f"narfi: {notice}", file=sys.stderr)
    print("Valid config file! No syntax issues found")
    return 0


def _notices(values: Mapping[str, object], rest: Sequence[str]) -> tuple[str, ...]:
    """What of the command line has no effect."""
    found = [f"flag -{name} has no effect here" for name in values if name in WITHOUT_EFFECT]
    if values.get("output") and not values.get("dry-run"):
        found.append("flag -output has no effect without -dry-run")
    if rest:
        found.append(f"what follows the flags is ignored: {' '.join(rest)}")
    return tuple(found)
