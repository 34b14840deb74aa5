"""Are fields counted as parsers would set them, and is nothing told as exact that is not?"""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from logql.parser import parse
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.facets import Facet, FacetsAsked, facets_of, without_filters
from querier.explore.fields import Field, Source, fields_of
from querier.explore.kinds import type_of_text, unit_of
from querier.rules import ALL_RULES, Rules
from tests.querier.shaped import is_query
from tests.querier.test_engine import PARTS, RULES, SHAPED, engine_of, options, shaped_cases
from tests.reference import engine as reference
from tests.reference import exploring
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.reference.similar import THRESHOLDS, thresholds
from tests.storage.blocks import small_groups

HIDDEN = ("__error__", "__error_details__", "__preserve_error__")


def fields(engine: Engine, text: str, rules: Rules = ALL_RULES) -> tuple[list[Field], int]:
    """Of all times."""
    return engine.explore(text, options(START_NS, START_NS + 100 * NS, rules), fields_of).value


def check(engine: Engine, parts: Sequence[list[Entry]], query: ast.LogQuery, rules: Rules) -> None:
    """Every field has as many rows as the twin finds, and its names are there."""
    text = format_expr(query)
    try:
        found, rows = fields(engine, text, rules)
    except AppError:
        return  # not a valid query: the stage's pattern or template
    entries = [entry for part in parts for entry in part]
    plain = exploring.rows_by(query, entries, None)
    assert rows == len(plain)
    by_source = exploring.sources(plain)
    for source in (Source.LABEL, Source.METADATA, Source.PARSED):
        mine = {f.name: f.rows for f in found if f.source is source and f.name not in HIDDEN}
        expected = {n: c for n, c in by_source[source].items() if n not in HIDDEN}
        assert mine == expected, (text, source)
    assert all(f.exact for f in found if f.source is not Source.COLUMN)
    for parser in ("json", "logfmt"):
        parsed = exploring.rows_by(query, entries, parser)
        expected = exploring.sources(parsed)["parsed"]
        for one in found:
            if one.parser == parser and one.exact:
                assert one.rows == expected[one.name] - by_source["parsed"][one.name], (text, one)


@settings(max_examples=examples(150))
@given(PARTS, LOG_QUERIES, RULES)
def test_of_any_lines(
    executor: LocalExecutor, parts: list[list[Entry]], query: ast.LogQuery, rules: Rules
) -> None:
    check(engine_of(parts, executor), parts, query, rules)


@settings(max_examples=examples(100))
@given(shaped_cases(), SHAPED, THRESHOLDS, RULES)
def test_of_shapes(
    executor: LocalExecutor,
    case: tuple[list[list[Entry]], ast.LogQuery],
    least: int,
    limits: tuple[int, int, int] | None,
    rules: Rules,
) -> None:
    parts, query = case
    if not is_query(query.stages):
        return
    with thresholds(limits), small_groups(2 if limits else None):
        engine = engine_of(parts, executor, least)
    check(engine, parts, query, rules)


JSON_LINES = [
    b'{"level":"info","status":%d,"user":{"id":"u%03d"},"ok":%s,"took_ms":%d.%d,"note":"%s"}'
    % (200 + k % 5, k % 50, b"true" if k % 3 else b"null", k, k % 10, b"" if k % 4 else b"x y")
    for k in range(400)
]
LOGFMT_LINES = [
    b"level=warn status=%d took=%dms path=/a/%d" % (400 + k % 3, k, k) for k in range(200)
]
TEXT_LINES = [b'10.0.0.%d - - "GET /a?x=%d HTTP/1.1" 200 12' % (k % 200, k) for k in range(100)]


def entries_of(app: str, lines: Sequence[bytes], metadata: dict[str, str]) -> list[Entry]:
    """A stream."""
    return [({"app": app}, metadata, START_NS + k, line) for k, line in enumerate(lines)]


MIXED = [
    *entries_of("api", JSON_LINES, {"trace": "t", "level": "m"}),
    *entries_of("web", LOGFMT_LINES, {}),
    *entries_of("nginx", TEXT_LINES, {"level": "unknown"}),
]


@pytest.mark.parametrize("least", [None, 1, 20])
def test_names_types_and_shares(executor: LocalExecutor, least: int | None) -> None:
    found, rows = fields(engine_of([MIXED], executor, least), '{app=~"api|web"}')
    assert rows == 600
    known = {(f.name, f.source, f.parser): f for f in found}

    def told(name: str, source: Source, parser: str | None) -> tuple[object, ...]:
        one = known.pop((name, source, parser))
        return one.type, one.rows, one.distinct, one.unit

    assert told("app", Source.LABEL, None) == ("text", 600, 2, None)
    assert told("trace", Source.METADATA, None) == ("text", 400, 1, None)
    assert told("level", Source.METADATA, None) == ("text", 400, 1, None)
    assert told("level_extracted", Source.COLUMN, "json") == ("text", 400, None, None)
    assert told("status", Source.COLUMN, "json") == ("integer", 400, None, None)
    assert told("user_id", Source.COLUMN, "json") == ("text", 400, None, None)
    assert told("took_ms", Source.COLUMN, "json") == ("number", 400, None, "ms")
    assert told("ok", Source.COLUMN, "json") == ("boolean", 266, None, None)
    assert told("note", Source.COLUMN, "json") == ("text", 100, None, None)
    assert told("level", Source.COLUMN, "logfmt") == ("text", 200, None, None)
    assert told("status", Source.COLUMN, "logfmt") == ("integer", 200, None, None)
    assert told("took", Source.COLUMN, "logfmt") == ("duration", 200, None, "ms")
    assert told("path", Source.COLUMN, "logfmt") == ("text", 200, None, None)
    assert not known
    assert [f.rows for f in found] == sorted((f.rows for f in found), reverse=True)


def test_query_strings_of_access_lines_are_no_fields(executor: LocalExecutor) -> None:
    for least in (None, 1):
        found, _ = fields(engine_of([MIXED], executor, least), '{app="nginx"}')
        assert {f.name for f in found} == {"app", "level"}


def facets(engine: Engine, text: str, asked: FacetsAsked) -> list[Facet]:
    """Of all times."""
    whole = options(START_NS, START_NS + 100 * NS, ALL_RULES)
    return engine.explore(text, whole, lambda question: facets_of(question, asked)).value


NAMES = st.lists(
    st.sampled_from(
        ["app", "env", "level", "status", "msg", "user_id", "trace", "level_extracted"]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)


def check_clicks(engine: Engine, parts: Sequence[list[Entry]], text: str, names: list[str]) -> None:
    """The query with a parser, and the filter that a click adds, has as many lines as counted."""
    query = parse(text)
    assert isinstance(query, ast.LogQuery)
    asked = FacetsAsked(names=tuple(names), limit=1000, keep=frozenset(names[1:]), in_lines=True)
    entries = [entry for part in parts for entry in part]
    for facet in facets(engine, text, asked):
        base = without_filters(query, facet.name, Limits()) if facet.name in asked.keep else query
        rows = exploring.rows_by(base, entries, facet.parser)
        assert facet.rows == len(rows)
        assert facet.missing == len(rows) - exploring.valued(rows, facet.name)
        assert sum(count for _, count in facet.top) + facet.missing == len(rows)
        for value, count in facet.top:
            matcher = Matcher(facet.name, MatchOp.EQ, value)
            clicked = ast.LogQuery(
                base.selector,
                (
                    *base.stages,
                    *exploring.PARSERS[facet.parser],
                    ast.LabelFilterStage(ast.StringLabelFilter(matcher)),
                ),
            )
            assert len(reference.rows_of(clicked, entries)) == count, (text, facet.name, value)


@settings(max_examples=examples(80))
@given(
    PARTS,
    st.sampled_from(
        [
            '{app="api"}',
            '{app=~".+", env="dev"}',
            '{app=~".+"} | level="info"',
            '{app=~".+"} |= "level" | env="prod" or status="200"',
            '{app=~".+"} | json | status="200" and level=~"e.*"',
        ]
    ),
    NAMES,
    st.booleans(),
)
def test_what_a_click_on_a_value_finds(
    executor: LocalExecutor, parts: list[list[Entry]], text: str, names: list[str], is_stored: bool
) -> None:
    check_clicks(engine_of(parts, executor, 1 if is_stored else None), parts, text, names)


@pytest.mark.parametrize("least", [None, 1, 20])
def test_a_parser_is_found_for_fields_in_lines(executor: LocalExecutor, least: int | None) -> None:
    engine = engine_of([MIXED], executor, least)
    asked = FacetsAsked(
        names=("app", "status", "path", "absent", "level"),
        limit=2,
        keep=frozenset(("app",)),
        in_lines=True,
    )
    app, status, path, absent, level = facets(engine, '{app=~"api|web", app!=""}', asked)
    assert (app.top, app.parser, app.rows) == ((("api", 400), ("web", 200)), None, 600)
    assert (status.top, status.parser) == ((("200", 80), ("201", 80)), "json")
    assert (status.other, status.missing) == (240, 200)
    assert (path.distinct, path.parser, path.missing) == (200, "logfmt", 400)
    assert (absent.distinct, absent.parser, absent.missing) == (0, None, 600)
    assert (level.top, level.parser) == ((("m", 400),), None)


@pytest.mark.parametrize(
    ("text", "name", "left"),
    [
        ('{app="a", env="b"}', "app", '{env="b"}'),
        ('{app="a"}', "app", '{app="a"}'),
        ('{app="a", env=~".*"}', "app", '{app="a", env=~".*"}'),
        ('{app="a"} | x="1" and y>2, x!="3"', "x", '{app="a"} | y>2'),
        ('{app="a"} | x="1" or x="2" | json', "x", '{app="a"} | json'),
        ('{app="a"} | x="1" or y="2"', "x", '{app="a"} | x="1" or y="2"'),
        ('{app="a"} |= "x" | drop x | x > 2ms', "x", '{app="a"} |= "x" | drop x'),
    ],
)
def test_what_is_kept_of_a_query(text: str, name: str, left: str) -> None:
    query, expected = parse(text), parse(left)
    assert isinstance(query, ast.LogQuery)
    assert format_expr(without_filters(query, name, Limits())) == format_expr(expected)


def test_limits_keep_their_matchers() -> None:
    query = parse('{app="a", env="b"}')
    assert isinstance(query, ast.LogQuery)
    for changes in ({"required_labels": ("app",)}, {"minimum_labels_number": 2}):
        limits = Limits().with_changes(**changes)
        assert without_filters(query, "app", limits) == query


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("12", "integer"),
        ("1.5", "number"),
        ("true", "boolean"),
        ("t", "text"),
        ("12ms", "duration"),
        ("3KB", "bytes"),
        ("10.0.0.7", "ip"),
        ("::1", "ip"),
        ("2026-11-26T10:00:00Z", "time"),
        ("", "text"),
    ],
)
def test_types_of_texts(text: str, kind: str) -> None:
    assert type_of_text(text) == kind


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("duration_ms", "integer", "ms"),
        ("elapsedSeconds", "number", None),
        ("elapsed_seconds", "number", "s"),
        ("size_bytes", "integer", "bytes"),
        ("took", "duration", "ms"),
        ("items", "integer", None),
        ("rooms", "integer", None),
    ],
)
def test_units(name: str, kind: str, unit: str | None) -> None:
    assert unit_of(name, kind) == unit


def test_lines_without_a_shape_are_read_to_a_bound(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("querier.explore.line_fields.MOST_READ", 100)
    found, rows = fields(engine_of([MIXED], executor), '{app="api"}')
    known = {f.name: f for f in found}
    assert rows == 400
    assert (known["status"].rows, known["status"].exact) == (400, False)
    assert abs(known["ok"].rows - 266) < 30
    assert known["trace"].exact


def test_lines_with_more_fields_than_are_shown(executor: LocalExecutor) -> None:
    names = [f'"k{n}\u202e":1' for n in range(12_000)]
    line = ("{" + ",".join(names) + ',"common":2}').encode()
    entries = [*entries_of("api", [b'{"common":1}', line], {}), *MIXED]
    found, _ = fields(engine_of([entries], executor), '{app="api"}')
    assert len(found) == 1000
    assert found[0].name == "app"
