"""How is `--explain` shown? One paragraph per selector that was read, on stderr."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

_WORDS = {"prunedByLiterals": "pruned by literals"}


def print_plan(plan: Mapping[str, Any]) -> None:
    """The object `data.explain`; servers that do not know it send none."""
    if not plan:
        print("the server does not explain its answers", file=sys.stderr)
        return
    for line in plan_lines(plan):
        print(line, file=sys.stderr)


def plan_lines(plan: Mapping[str, Any]) -> list[str]:
    """The plan as text."""
    lines = [f"query     {plan['query']}"]
    if plan["rulesOff"]:
        lines.append(f"rules off {', '.join(plan['rulesOff'])}")
    for number, read in enumerate(plan["reads"], start=1):
        lines += ["", f"read {number}    {read['query']}", *_read_lines(read)]
    times = f"{_times(plan['phases'])}; {_ms(plan['execTime'])} in all"
    return [*lines, "", f"returned  {_counts(plan['returned'])}", f"time      {times}"]


def _read_lines(read: Mapping[str, Any]) -> list[str]:
    sources = "; ".join(
        f"{kind}: {counts['considered']} considered, {counts['pruned']} pruned, "
        f"{counts['read']} read"
        for kind, counts in read["sources"].items()
    )
    lines = [f"  stages    {_stages(read['stages'])}"]
    if read["fetchStages"]:
        lines.append(f"  on answer {_stages(read['fetchStages'])}")
    return [
        *lines,
        f"  rules     {', '.join(read['rules']) or 'none'}",
        f"  sources   {sources}",
        f"  groups    {_counts(read['rowGroups'])}",
        f"  rows      {_counts(read['rows'])}",
        f"  bytes     {_counts(read['bytes'])}",
        f"  time      {_times(read['phases'])}",
    ]


def _stages(stages: Sequence[str]) -> str:
    """One a line, numbered in the order in which they run."""
    if not stages:
        return "none"
    return "\n            ".join(f"{k}. {stage}" for k, stage in enumerate(stages, start=1))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{value:,} {_WORDS.get(name, name)}" for name, value in counts.items())


def _times(phases: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {_ms(seconds)}" for name, seconds in phases.items())


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
