"""`narfi agent`: read logs and push their lines, by a Promtail configuration."""

import sys
from dataclasses import dataclass

from promtail_agent.agent import RunOptions
from promtail_agent.config import AgentConfig
from promtail_agent.config_file import load_agent_config
from promtail_agent.own_server import config_text
from promtail_agent.run import run_agent
from promtail_agent.yaml_lines import KeyPath


@dataclass(frozen=True, slots=True)
class AgentFlags:
    """The command line; "" where a flag was not given."""

    config: str
    expand_env: bool = False
    dry_run: bool = False
    stdin: bool = False
    inspect: bool = False
    check_syntax: bool = False
    print_config: bool = False
    client_url: str = ""
    tenant_id: str = ""
    external_labels: str = ""
    positions_file: str = ""
    http_port: int | None = None
    log_level: str = ""

    def load(self) -> AgentConfig:
        """The file with what the command line says instead."""
        overrides: dict[KeyPath, object] = {}
        if self.positions_file:
            overrides["positions", "filename"] = self.positions_file
        if self.http_port is not None:
            overrides["server", "http_listen_port"] = self.http_port
        if self.log_level:
            overrides["server", "log_level"] = self.log_level
        client: dict[str, object] = {}
        if self.client_url:
            client = {"url": self.client_url, "tenant_id": self.tenant_id}
        labels = dict(
            pair.strip().split("=", 1) for pair in self.external_labels.split(",") if "=" in pair
        )
        return load_agent_config(self.config, self.expand_env, overrides, client, labels)


def run(flags: AgentFlags) -> None:
    """Run until a signal, or only check."""
    if flags.check_syntax:
        flags.load()
        print("Valid config file! No syntax issues found")
        return
    if flags.print_config:
        print(config_text(flags.load()), file=sys.stderr)
    options = RunOptions(dry_run=flags.dry_run, stdin=flags.stdin, inspect=flags.inspect)
    run_agent(flags.load, options)
