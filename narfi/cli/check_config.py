"""`narfi check-config`: is a configuration file usable?"""

from pathlib import Path


def run(path: str, *, agent: bool, expand_env: bool = False) -> None:
    """Print one line, or raise what is wrong."""
    if agent:
        from promtail_agent.config_file import load_agent_config

        load_agent_config(Path(path), expand_env)
    else:
        from narfi.core.settings import load_settings
        from narfi.server.retention import retention_policies

        retention_policies(load_settings(Path(path), {}, {}), path)
    print(f"{path}: ok")
