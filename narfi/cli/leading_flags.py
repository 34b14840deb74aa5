"""How may flags stand before a command, as logcli's may? They are put behind it."""

import inspect
from collections.abc import Sequence
from typing import get_args

from narfi.cli.flags import shared_flags

_OF_THE_PROGRAM = ("--help", "--version")


def command_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments, shared flags that stand before the command behind it."""
    alone = _without_value()
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        if arguments[at] in _OF_THE_PROGRAM:
            return list(arguments)
        at += 1 if "=" in arguments[at] or arguments[at] in alone else 2
    if at >= len(arguments):
        return list(arguments)
    return [arguments[at], *arguments[:at], *arguments[at + 1 :]]


def _without_value() -> frozenset[str]:
    found = {"-q"}
    for name, flag in inspect.signature(shared_flags).parameters.items():
        if get_args(flag.annotation)[0] is bool:
            plain = name.replace("_", "-")
            found |= {f"--{plain}", f"--no-{plain}"}
    return frozenset(found)
