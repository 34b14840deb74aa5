"""What did the doctor find, how bad is it, and what is to be done? As text or as JSON."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from narfi.core.errors import AppError

Level = Literal["problem", "warning", "ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look found; `step` is empty where nothing is to be done."""

    part: str
    level: Level
    what: str
    step: str = ""


Findings = Iterator[Finding]


def problem(part: str, what: str, step: str) -> Finding:
    """Something does not work."""
    return Finding(part=part, level="problem", what=what, step=step)


def warning(part: str, what: str, step: str) -> Finding:
    """It works, and somebody should look."""
    return Finding(part=part, level="warning", what=what, step=step)


def fine(part: str, what: str) -> Finding:
    """All is well."""
    return Finding(part=part, level="ok", what=what)


def tried(part: str, look: Callable[[], Findings], step: str) -> Findings:
    """What a look finds; what stops it is a problem, with this step."""
    try:
        yield from look()
    except AppError as error:
        yield problem(part, error.message, step)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        yield problem(part, f"{where}{error.strerror or error}", step)


def print_findings(findings: Sequence[Finding], *, as_json: bool, quiet: bool) -> None:
    """The worst first; `quiet`: only what is not well."""
    order = ("problem", "warning", "ok")
    shown = sorted(findings, key=lambda one: order.index(one.level))
    if as_json:
        print(json.dumps({"findings": [asdict(one) for one in shown]}, indent=2))
        return
    for one in shown:
        if one.level == "ok" and quiet:
            continue
        print(f"{one.level:8} {one.part}: {one.what}")
        if one.step:
            print(f"         to do: {one.step}")
