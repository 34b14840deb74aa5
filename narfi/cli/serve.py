"""`narfi serve`: settings from file, environment and flags, then the server."""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from narfi.core.log import route_structlog, set_up_log
from narfi.core.memory import give_back_early, leave_libraries_out
from narfi.core.settings import Settings, load_settings, unrelated_variables

_log = logging.getLogger(__name__)

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from others; Python's own is 5 ms. A request goes
from thread to thread some twenty times, and waits so long each time while large queries run."""


def run(config: str, flags: Mapping[str, str], *, insecure: bool, expand_env: bool = False) -> None:
    """Serve until a signal."""
    sys.setswitchinterval(SWITCH_S)
    give_back_early()
    leave_libraries_out()
    given = {name: value for name, value in flags.items() if value}
    file = Path(config) if config else None

    def load() -> Settings:
        return load_settings(file, os.environ, given, expand_env=expand_env)

    settings = load()
    set_up_log(settings.log.level, settings.log.format)
    route_structlog()
    if names := unrelated_variables(os.environ):
        _log.info("variables of the environment are no settings, ignored names=%s", ",".join(names))
    from narfi.server.lifecycle import serve  # after the log: libraries look at it when imported

    serve(settings, insecure=insecure, load=load)
