"""`narfi packs show`: what does a pack do, and what may come of it?"""

from narfi.bundled.questions import read_queries
from narfi.bundled.rules import rule_groups
from promtail_agent.packs.load import Shelf


def run(name: str) -> None:
    """Its README, then what it declares."""
    pack = Shelf.of_environment().find(name)
    manifest = pack.manifest
    readme = pack.folder / "README.md"
    if readme.exists():
        print(readme.read_text(encoding="utf-8").rstrip())
    else:
        print(f"# {manifest.title}")
    print("\n## Declared\n")
    print(f"selector    {{{manifest.selector}}}")
    print(f"components  {', '.join(pack.components)}")
    for label, values in pack.labels.items():
        print(f"label       {label}: {', '.join(values)}")
    for field, kind in pack.fields.items():
        print(f"field       {field} ({kind})")
    queries = read_queries(pack)
    if queries:
        print("\n## Questions\n")
    for query in queries:
        print(f"{query.title}: {query.question}\n    {query.text(manifest.selector)}")
    rules = [rule for group in rule_groups(pack) for rule in group.rules]
    if rules:
        print("\n## Rules\n")
    for rule in rules:
        print(f"{rule.name}: {rule.annotations.get('summary', '')}\n    {rule.expr.strip()}")
