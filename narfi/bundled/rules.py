"""Which rules does a pack bring? `rules.yaml`, rule groups of Loki, with `$selector` in queries."""

from narfi.core.errors import AppError
from promtail_agent.errors import ConfigError
from promtail_agent.packs.pack import Pack
from ruler.group import Group
from ruler.read_groups import read_file
from ruler.validate import check_group

SELECTOR = "$selector"


def rules_text(pack: Pack) -> str:
    """The file with the pack's selector in it; "" where there is none."""
    file = pack.folder / "rules.yaml"
    if not file.exists():
        return ""
    quoted = pack.manifest.selector
    return file.read_text(encoding="utf-8").replace(SELECTOR, quoted)


def rule_groups(pack: Pack) -> list[Group]:
    """Its groups, each usable; raises `ConfigError`, which names the file."""
    found = [] if pack.base is None else rule_groups(pack.base)
    text = rules_text(pack)
    try:
        own = read_file(text.encode()) if text else []
        for group in own:
            check_group(group)
    except AppError as error:
        raise ConfigError(f"{pack.folder / 'rules.yaml'}: {error.message}") from error
    return [*found, *own]
