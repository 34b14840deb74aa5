"""Queries that need much: patterns, templates, series, wide lines, sorted windows, large answers.

All ask streams of lines of some kind, which are pushed before the first; each answer is right or a
clear refusal. The gate asks a few, `make hostile` all of them.
"""

import functools
import json
import os
import time
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.hostile.inputs.bodies import JSON, PUSH
from tests.hostile.target import Input, Outcome, Target, at_once, hostile

RANGE = "/loki/api/v1/query_range"
STEP_NS = 10**6
PUSHED_BYTES = 2 << 20
OK_OR_REFUSED = (200, 400, 429, 503, 504)
REFUSED = (400, 503, 504)
IN_GATE = 8


def json_lines(count: int) -> list[str]:
    """Lines of which each has values of its own."""
    return [
        json.dumps({"trace_id": f"{n * 2654435761:032x}", f"k{n % 500}": n, "n": n, "pod": n % 20})
        for n in range(count)
    ]


KINDS = {
    "json": json_lines(20_000),
    "wide": [f"{n} {'ab ' * 66_000}" for n in range(60)],
    "keys": [json.dumps({f"{n}_{k}": k for k in range(100)}) for n in range(500)],
}
"""Lines by kind."""


@functools.cache
def push_all(target: Target) -> None:
    """Every kind as the stream `{kind="..."}`."""
    now_ns = time.time_ns() - 60 * 10**9
    for kind, lines in KINDS.items():
        values = [[str(now_ns + n * STEP_NS), line] for n, line in enumerate(lines)]
        for part in _parts(values):
            body = json.dumps({"streams": [{"stream": {"kind": kind}, "values": part}]}).encode()
            while (told := target.send("POST", PUSH, body, JSON)).status in (429, 503):
                time.sleep(0.1)
            assert told.status == 204, told.text


def _parts(values: list[list[str]]) -> Sequence[list[list[str]]]:
    found: list[list[list[str]]] = [[]]
    size = 0
    for value in values:
        if size > PUSHED_BYTES:
            found.append([])
            size = 0
        found[-1].append(value)
        size += len(value[1]) + 40
    return found


def ask(target: Target, query: str, **parameters: str) -> Outcome:
    """A range query over the last two hours; what came back, without a large body."""
    now = time.time()
    asked = {"query": query, "start": str(now - 7200), "end": str(now), **parameters}
    found = target.send("GET", f"{RANGE}?{urllib.parse.urlencode(asked)}")
    return Outcome(found.status, found.text[:2000])


def asked(
    name: str, query: str, allowed: Sequence[int] = OK_OR_REFUSED, count: int = 1, **more: str
) -> Input:
    """An input of one query, from so many clients at once."""

    def attack(target: Target) -> Sequence[Outcome] | Outcome:
        push_all(target)
        return at_once(count, lambda target: ask(target, query, **more))(target)

    return hostile(name, allowed, attack)


def mixed(target: Target) -> Sequence[Outcome]:
    """Queries of all kinds, a hundred and more, eighty at once."""
    push_all(target)
    with ThreadPoolExecutor(80) as clients:
        return list(clients.map(lambda query: ask(target, query, step="60"), MIXED * 15))


def over_time(function: str) -> str:
    """A range function over the numbers of each pod."""
    return f"{function}{JSON_STREAM} | json | unwrap n [1h]) by (pod)"


JSON_STREAM, WIDE, KEYS = '{kind="json"}', '{kind="wide"}', '{kind="keys"}'
TRACES = f"sum by (trace_id) (count_over_time({JSON_STREAM} | json [5m]))"
REPEATED = (
    f'sum by (x) (count_over_time({JSON_STREAM} | label_format x="{{{{ repeat 500 __line__ }}}}" '
    "[1h]))"
)
QUANTILE = over_time("quantile_over_time(0.99, ")
BRANCHES = "|".join(f"(x{n}.*y)" for n in range(500))
MIXED = (
    TRACES,
    REPEATED,
    QUANTILE,
    WIDE,
    f"count_over_time({KEYS} | json [5m])",
    f"sum(count_over_time({WIDE} |~ `(a|b| )+$` [5m]))",
    f"sum by (pod) (rate({JSON_STREAM} | json [1m]))",
)

ALL = (
    asked("a series for each line", TRACES, REFUSED, step="60"),
    asked("a series for each line, inside", f"count({TRACES})", step="1"),
    asked("a series for each line and step", f"count({TRACES})", step="1", interval="1s"),
    asked("a label of 50 KB for each line", REPEATED, REFUSED, step="60"),
    asked(
        "lines made 500 times as long",
        f'sum(count_over_time({JSON_STREAM} | line_format "{{{{ repeat 500 __line__ }}}}" '
        '|= "never" [1h]))',
        step="60",
    ),
    asked(
        "lines made as long as may be",
        f'{WIDE} | line_format "{{{{ repeat 20 __line__ }}}}"',
        limit="5000",
    ),
    asked(
        "a template that replaces every letter",
        f'{WIDE} | line_format `{{{{ regexReplaceAll "[ab]" __line__ "xx" }}}}` |= "never"',
        limit="5000",
    ),
    asked("a template that never ends", f"{JSON_STREAM} | line_format `{'{{ range . }}' * 50}`"),
    asked("a quantile of all, step by step", QUANTILE, step="1"),
    asked(
        "a quantile of each line", f"quantile_over_time(0.9, {JSON_STREAM} | json | unwrap n [1h])"
    ),
    asked(
        "a counter of all, step by step",
        f"sum by (pod) (rate_counter({JSON_STREAM} | json | unwrap n [1h]))",
        step="1",
    ),
    asked(
        "deviations of all, step by step",
        over_time("stddev_over_time("),
        step="1",
    ),
    asked(
        "the first of all, step by step",
        over_time("first_over_time("),
    ),
    asked("wide lines, as many as may be", WIDE, limit="5000"),
    asked("wide lines, categorised", WIDE, limit="5000", direction="forward"),
    asked("lines apart from each other", JSON_STREAM, interval="1ms", limit="5000"),
    asked("a name for each line", f"{KEYS} | json", limit="5000"),
    asked("a series for each name", f"count_over_time({KEYS} | json [5m])", step="60"),
    asked("names as logfmt", f"{KEYS} | logfmt | line_format `{{{{.}}}}`", limit="5000"),
    asked("a pattern of many branches", f"{WIDE} |~ `{BRANCHES}`"),
    asked("a pattern repeated", f"{WIDE} |~ `(((a?){{100}}){{100}}){{100}}`", (400,)),
    asked("a pattern of 900 repeats", f"{WIDE} |~ `(.*b){{900}}c`"),
    asked("groups of a pattern", f"{WIDE} | regexp `{'(?P<a>.)' + '(?P<b>.*)' * 1}`", limit="5000"),
    asked(
        "a thousand expressions",
        f"{JSON_STREAM} | json " + ", ".join(f'x{n}="k{n}"' for n in range(500)),
        limit="5000",
    ),
    asked(
        "a product of all with all",
        f"({TRACES}) * on() group_left() ({TRACES})",
        (400, 500, 503, 504),
        step="60",
    ),
    asked(
        "labels replaced", f'label_replace({TRACES}, "x", "$1$1$1$1", "trace_id", "(.*)")', REFUSED
    ),
    asked("sorted", f"sort_desc({TRACES})", REFUSED),
    asked("the best of all, step by step", f"topk(10, {TRACES})", step="1"),
    asked("a heavy query 24 times", QUANTILE, count=24, step="1"),
    asked("large answers 20 times", WIDE, count=20, limit="5000"),
    hostile("a hundred queries at once", OK_OR_REFUSED, mixed),
)
WHOLE = os.environ.get("NARFI_TEST_HOSTILE") == "strict"
INPUTS = ALL if WHOLE else ALL[:IN_GATE]
