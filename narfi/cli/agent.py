"""`narfi agent`: tail files and push their lines."""

from pathlib import Path

from promtail_agent.agent import run_agent
from promtail_agent.config import load_agent_config


def run(config: str, *, expand_env: bool) -> None:
    """Run until a signal."""
    run_agent(load_agent_config(Path(config), expand_env))
