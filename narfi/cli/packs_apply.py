"""`narfi packs apply`: the rule groups of packs, brought to a server by the ruler's API.

The API is Loki's, so the server may be one.
"""

from collections.abc import Sequence
from urllib.parse import quote

from narfi.bundled.rules import rule_groups
from narfi.cli.client import Connection
from narfi.cli.rule_sync import PATH, of_server
from promtail_agent.packs.load import Shelf
from ruler.write_groups import group_yaml


def run(connection: Connection, names: Sequence[str]) -> None:
    """Groups that are no longer the pack's are removed from its namespace."""
    shelf = Shelf.of_environment()
    packs = [shelf.find(name) for name in names]
    there = of_server(connection)
    for pack in packs:
        namespace = f"pack-{pack.name}"
        groups = rule_groups(pack)
        for group in groups:
            path = f"{PATH}/{quote(namespace)}"
            body = group_yaml(group)
            connection.request("POST", path, body=body, content_type="application/yaml")
        gone = there.get(namespace, {}).keys() - {group.name for group in groups}
        for name in sorted(gone):
            there_path = f"{PATH}/{quote(namespace)}/{quote(quote(name, safe=''))}"
            connection.request("DELETE", there_path)
        rules = sum(len(group.rules) for group in groups)
        print(f"{namespace}: {len(groups)} groups, {rules} rules brought, {len(gone)} removed")
