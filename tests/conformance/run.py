"""`make conformance`: passes by group on each stack; `--rules`: also with each rule off."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.conformance import check
from tests.conformance.stacks import RULE_STACKS, STACKS, TENANT, cases, serve_stack


def main() -> None:
    """Run everything and print a table."""
    passed: dict[str, Counter[str]] = {}
    failed: dict[str, list[str]] = {}
    found = cases()
    stacks = (*STACKS, *RULE_STACKS) if "--rules" in sys.argv[1:] else STACKS
    with tempfile.TemporaryDirectory() as folder:
        for name in stacks:
            passed[name], failed[name] = Counter(), []
            with serve_stack(name, Path(folder)) as running:
                client = check.Client(running.url, 60)
                for case in found:
                    difference, _ = check.run_one(client, case, TENANT, loose=False)
                    if difference:
                        failed[name].append(str(case["id"]))
                    else:
                        passed[name][str(case["group"])] += 1
    total = Counter(str(case["group"]) for case in found)
    print(f"{'group':<16}{'cases':>6}" + "".join(f"{name[-10:]:>11}" for name in stacks))
    for group, count in sorted(total.items()):
        print(f"{group:<16}{count:>6}" + "".join(f"{passed[n][group]:>11}" for n in stacks))
    for name in stacks:
        print(f"\n{name} fails: {' '.join(failed[name])}")
        print(f"{name}: {len(found) - len(failed[name])} passed, {len(failed[name])} failed")


if __name__ == "__main__":
    main()
