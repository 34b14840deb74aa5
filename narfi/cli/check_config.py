"""`narfi check-config`: is a configuration file usable?"""

import os
import sys
from pathlib import Path


def run(path: str, *, agent: bool, expand_env: bool = False) -> None:
    """Print one line, or raise what is wrong; ignored keys are told of."""
    if agent:
        from promtail_agent.config_file import load_agent_config

        for notice in load_agent_config(Path(path), expand_env).notices:
            print(f"narfi: {notice}", file=sys.stderr)
    else:
        from narfi.core.settings import load_settings
        from narfi.server.start_checks import check_settings

        used = os.environ if expand_env else {}
        variables = {n: v for n, v in used.items() if not n.startswith("NARFI_")}
        settings = load_settings(Path(path), variables, {}, expand_env=expand_env)
        check_settings(settings, path)
    print(f"{path}: ok")
