"""Does a click on a value mean the query of before and that filter, for every recorded query?"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from logql.ast import LogQuery
from logql.format import format_matcher, format_stage
from logql.parser import parse
from narfi.core.errors import AppError

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests/conformance/cases"
SCRIPT = """
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
const made = await build({ stdin: { contents: `
  export { withValue, withBounds, withLine } from './src/logs/edit.ts';
  export { chipsOf, withoutPart } from './src/logs/filters.ts';
  export { parseLogQuery } from './src/logs/logql.ts';
  export { asLogQL } from './src/query/words.ts';`, resolveDir: process.cwd(), loader: 'ts' },
  bundle: true, format: 'esm', write: false, platform: 'neutral' });
const module = await import('data:text/javascript;base64,' +
  Buffer.from(made.outputFiles[0].contents).toString('base64'));
const { withValue, withBounds, withLine, chipsOf, withoutPart, parseLogQuery, asLogQL } = module;
const { queries, values, words } = JSON.parse(readFileSync(0, 'utf8'));
const label = { name: 'app', source: 'label' };
const metadata = { name: 'trace_id', source: 'metadata' };
const column = { name: 'clicked', source: 'column', parser: 'json' };
const found = queries.map((query) => {
  const parsed = parseLogQuery(query);
  if (!parsed) return { query, read: false };
  const clicks = [];
  for (const value of values) {
    for (const field of [label, metadata, column]) for (const how of ['only', 'not', 'or']) {
      clicks.push({ field: field.name, how, value, text: withValue(query, field, value, how) });
    }
    clicks.push({ field: 'line', how: '|=', value, text: withLine(query, '|=', value) });
  }
  const bounds = withBounds(query, column, '1', '2.5');
  clicks.push({ field: 'clicked', how: 'bounds', value: '', text: bounds });
  const chips = chipsOf(parsed).map((chip) => withoutPart(query, chip.part));
  return { query, read: true, clicks, chips };
});
process.stdout.write(JSON.stringify({ found, words: words.map((text) => asLogQL(text)) }));
"""
VALUES = ['a "quoted" \\ ünïcode\n日本', "a|b.*`tick", ""]
WORDS = {
    "timeout 503": '{service_name=~".+"} |= "timeout" |= "503"',
    'say "no route" -health': '{service_name=~".+"} |= "say" |= "no route" != "health"',
    "level:error slow": '{service_name=~".+"} |= "slow" | detected_level = "error"',
    "status>=500": '{service_name=~".+"} | status >= 500',
    "it's `odd` \\ \"": '{service_name=~".+"} |= "it\'s" |= "`odd`" |= `\\`',
    '{app="x"}': '{app="x"}',
    "sum(rate({a=`b`}[1m]))": "sum(rate({a=`b`}[1m]))",
}


def log_queries() -> list[str]:
    """Of the recorded corpus: those that are right and ask for lines."""
    found = set()
    for file in sorted(CASES.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            params = json.loads(line)["request"].get("params", [])
            query = next((value for name, value in params if name == "query"), "")
            try:
                if query and isinstance(parse(query), LogQuery):
                    found.add(query)
            except AppError:
                continue
    return sorted(found)[::2]  # neighbours are alike


@pytest.fixture(scope="module")
def told() -> Any:
    """What the page makes of all of them."""
    if shutil.which("node") is None or not (ROOT / "ui/node_modules/esbuild").is_dir():
        pytest.skip("no Node, or ui/node_modules is not there: `make ui` makes it")
    given = json.dumps({"queries": log_queries(), "values": VALUES, "words": list(WORDS)})
    command = ["node", "--input-type=module", "-e", SCRIPT]
    done = subprocess.run(
        command, cwd=ROOT / "ui", input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def parts(text: str) -> tuple[set[str], list[str]]:
    """Matchers and stages as the server writes them."""
    query = parse(text)
    assert isinstance(query, LogQuery)
    return {format_matcher(one) for one in query.selector.matchers}, list(
        map(format_stage, query.stages)
    )


def is_within(some: list[str], others: list[str]) -> bool:
    """Whether all of some are among others, in their order."""
    rest = iter(others)
    return all(one in rest for one in some)


def test_every_recorded_query_is_read(told: Any) -> None:
    unread = [one["query"] for one in told["found"] if not one["read"]]
    assert len(told["found"]) > 150
    assert len(unread) / len(told["found"]) < 0.02, unread


def test_a_click_adds_its_filter_and_keeps_the_rest(told: Any) -> None:
    for one in told["found"]:
        if not one["read"]:
            continue
        matchers, stages = parts(one["query"])
        for click in one["clicks"]:
            new_matchers, new_stages = parts(click["text"])
            if click["field"] == "app":
                own = {m for m in matchers if m.startswith(("app=", "app!"))}
                lost = matchers - new_matchers - own - {'service_name=~".+"'}
                assert is_within(stages, new_stages), click
                assert not {m for m in lost if '".+"' not in m and '".*"' not in m}, click
            else:
                assert new_matchers == matchers, click
                kept = [s for s in stages if not s.startswith(f"| {click['field']}")]
                assert is_within(kept, new_stages), click
                assert len(new_stages) > len(kept), click


def test_a_chip_takes_one_filter_away(told: Any) -> None:
    for one in told["found"]:
        if not one["read"]:
            continue
        matchers, stages = parts(one["query"])
        for text in one["chips"]:
            new_matchers, new_stages = parts(text)
            before, after = len(matchers) + len(stages), len(new_matchers) + len(new_stages)
            assert after < before or 'service_name=~".+"' in new_matchers, (one, text)
            assert is_within(new_stages, stages), (one, text)


def test_words(told: Any) -> None:
    assert dict(zip(WORDS, told["words"], strict=True)) == WORDS
    for text in told["words"]:
        parse(text)
