"""`narfi serve`: settings from file, environment and flags, then the server."""

import os
from collections.abc import Mapping
from pathlib import Path

from narfi.core.memory import give_back_early
from narfi.core.settings import load_settings
from narfi.server.lifecycle import serve


def run(config: str, flags: Mapping[str, str], *, insecure: bool) -> None:
    """Serve until a signal."""
    give_back_early()
    given = {name: value for name, value in flags.items() if value}
    settings = load_settings(Path(config) if config else None, os.environ, given)
    serve(settings, insecure=insecure)
