"""Random valid queries over the labels and lines of `tests/reference/logs.py`, as syntax trees."""

import itertools
import string

from hypothesis import strategies as st

from logql import ast
from logql.functions import GROUPED, WITH_UNWRAP, WITHOUT_UNWRAP
from narfi.core.matchers import Matcher, MatchOp
from tests.reference.logs import FIELDS, NEEDLES, STREAM_LABELS, VALUES

NS = 1_000_000_000
NAMES = st.sampled_from([*FIELDS, *STREAM_LABELS, "absent", "x", "trace", "level_extracted"])
WORDS = st.sampled_from([*NEEDLES, *VALUES, "", "E", " ", '"', "\\", "é"])
TEXTS = st.one_of(WORDS, st.text(string.printable, max_size=6))
REGEXES = st.sampled_from(
    [
        ".*",
        ".+",
        "",
        "a.c",
        "err|warn",
        "error|err",
        "prod|preprod",
        "info|info.*",
        "error|",
        "|404",
        "200||404",
        ".*prod",
        "()",
        ".*error.*",
        "error.*",
        "(?i)ERROR",
        "^level",
        r"\d+",
        "[a-f]+=",
        "info|",
        "(a|b)c?",
        r"\berror\b",
        "2..|5..",
        "GET|POST",
        "foo$",
        "(?s).",
    ]
)
JSON_PATHS = st.sampled_from(
    ["level", "user.id", "a.b", "list[0]", 'user["id"]', "absent.path", "status", '["msg"]', "user"]
)
LOGFMT_KEYS = st.sampled_from(["level", "status", "msg", "dur", "absent", "size", "app", "x"])
PATTERNS = st.sampled_from(
    [
        "<first> <rest>",
        "level=<level> <_>",
        "<_>status=<status> <x>",
        '<_> "<method> <path>',
        "<a>=<b>",
        "<x>",
        "GET <path>",
        "<_>=<trace><_>",
    ][:-1]
)
LINE_PATTERNS = st.sampled_from(["<_>level<_>", "GET <_>", "<_>error", "<_>=<_> <_>", "level=<_>"])
REGEXP_PARSERS = st.sampled_from(
    [
        r"level=(?P<level>\w+)",
        r"(?P<first>\S+) (?P<x>.*)",
        r"(?P<status>\d\d\d)",
        r"(?P<app>[a-z]+)",
        r"(?P<opt>zz)?(?P<trace>[0-9a-f]{2})",
    ]
)
TEMPLATES = st.sampled_from(
    [
        "{{.level}}",
        "{{.level}} {{.msg}}",
        "{{__line__}}!",
        "{{.status | ToUpper}}",
        '{{ if eq .level "error" }}E{{ else }}{{.app}}{{ end }}',
        "{{ .absent }}x",
        "const",
        "",
        "{{ add 1 2 }}",
        "{{ .status | int }}",
        '{{ printf "%s-%s" .app .level }}',
        "{{ len .msg }}",
        '{{ regexReplaceAll "e" .level "E" }}',
        "{{ index .app }}",
        "{{ .__error__ }}",
        "{{- .__error__ -}}  ",
        "{{ .__error__ }}: {{ .__error_details__ }}",
        "{{ .level | lower }}",
        '{{ if hasPrefix "2" .status }}2xx{{ else }}{{ .status }}{{ end }}',
    ]
)
IPS = st.sampled_from(["10.0.0.0/8", "10.0.0.1", "10.0.0.1-10.0.0.9", "::1", "192.168.0.0/16"])
MATCH_OPS = st.sampled_from(MatchOp)


def _matcher(name: str, op: MatchOp, text: str, regex: str) -> Matcher:
    return Matcher(name, op, regex if op in (MatchOp.RE, MatchOp.NRE) else text)


def matchers(names: st.SearchStrategy[str]) -> st.SearchStrategy[Matcher]:
    """Any matcher over a name."""
    return st.builds(_matcher, names, MATCH_OPS, TEXTS, REGEXES)


SELECTORS = st.builds(
    lambda rest: ast.Selector((Matcher("app", MatchOp.RE, ".+"), *rest)),
    st.lists(matchers(st.sampled_from(STREAM_LABELS)), max_size=2),
)


def _operand(op: ast.LineOp, is_ip: bool, text: str, regex: str, ip: str, pattern: str) -> str:
    if is_ip:
        return ip
    if op in (ast.LineOp.MATCHES, ast.LineOp.NOT_MATCHES):
        return regex
    return pattern if op in (ast.LineOp.PATTERN, ast.LineOp.NOT_PATTERN) else text


@st.composite
def line_filters(draw: st.DrawFn) -> ast.LineFilter:
    """One operator with one to three operands, as the parser gives them."""
    op = draw(st.sampled_from(ast.LineOp))
    may_be_ip = op in (ast.LineOp.CONTAINS, ast.LineOp.NOT_CONTAINS)
    operands = []
    most = [1] if op in ast.NEGATIVE_LINE_OPS else [1, 1, 2, 3]
    for _ in range(draw(st.sampled_from(most))):
        is_ip = may_be_ip and draw(st.integers(0, 9)) == 0
        arguments = [draw(s) for s in (TEXTS, REGEXES, IPS, LINE_PATTERNS)]
        operands.append(ast.LineOperand(_operand(op, is_ip, *arguments), is_ip))
    return ast.LineFilter(op, tuple(operands))


COMPARE = st.sampled_from(ast.CompareOp)
LABEL_FILTER_LEAVES = st.one_of(
    st.builds(ast.StringLabelFilter, matchers(NAMES)),
    st.builds(ast.StringLabelFilter, matchers(st.just("__error__"))),
    st.builds(ast.NumberFilter, NAMES, COMPARE, st.sampled_from([0.0, 1.0, 1.5, 200.0, 404.0])),
    st.builds(ast.DurationFilter, NAMES, COMPARE, st.sampled_from([NS, 25_000_000, 60 * NS])),
    st.builds(ast.BytesFilter, NAMES, COMPARE, st.sampled_from([1000, 5_000_000])),
    st.builds(ast.IpFilter, NAMES, IPS, st.booleans()),
)
LABEL_FILTERS: st.SearchStrategy[ast.LabelFilter] = st.recursive(
    LABEL_FILTER_LEAVES,
    lambda inner: st.one_of(
        st.builds(ast.AndFilter, LABEL_FILTER_LEAVES, inner),
        st.builds(ast.OrFilter, LABEL_FILTER_LEAVES, inner),
    ),
    max_leaves=3,
)
NAMED = st.builds(
    lambda name, matcher: ast.NamedLabel(name, matcher),
    NAMES,
    st.none(),
) | matchers(NAMES).map(lambda m: ast.NamedLabel(m.name, m))


def _extractions(paths: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[ast.Extraction, ...]]:
    one = st.builds(ast.Extraction, NAMES, paths)
    return st.lists(one, min_size=1, max_size=3, unique_by=lambda e: e.name).map(tuple)


LABEL_FORMATS = st.lists(
    st.one_of(
        st.builds(ast.LabelFormatItem, NAMES, NAMES, st.just(True)),
        st.builds(ast.LabelFormatItem, NAMES, TEMPLATES, st.just(False)),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda item: item.name,
).map(lambda items: ast.LabelFormat(tuple(items)))

PARSERS: st.SearchStrategy[ast.Stage] = st.one_of(
    st.just(ast.JsonParser()),
    st.just(ast.LogfmtParser()),
    st.builds(ast.LogfmtParser, st.booleans(), st.booleans()),
    _extractions(JSON_PATHS).map(ast.JsonParser),
    st.builds(ast.LogfmtParser, st.booleans(), st.booleans(), _extractions(LOGFMT_KEYS)),
    st.builds(ast.RegexpParser, REGEXP_PARSERS),
    st.builds(ast.PatternParser, PATTERNS),
    st.just(ast.Unpack()),
)
STAGES: st.SearchStrategy[ast.Stage] = st.one_of(
    line_filters(),
    PARSERS,
    PARSERS,
    st.builds(ast.LabelFilterStage, LABEL_FILTERS),
    st.builds(ast.LineFormat, TEMPLATES),
    LABEL_FORMATS,
    st.just(ast.Decolorize()),
    st.lists(NAMED, min_size=1, max_size=2).map(lambda items: ast.Drop(tuple(items))),
    st.lists(NAMED, min_size=1, max_size=3).map(lambda items: ast.Keep(tuple(items))),
)


def _can_be_written(stages: list[ast.Stage]) -> bool:
    """`| drop a != "b"` is always read as a drop with a matcher, never as drop and line filter."""
    for before, after in itertools.pairwise(stages):
        bare = isinstance(before, ast.Drop | ast.Keep) and before.items[-1].matcher is None
        negative = isinstance(after, ast.LineFilter) and after.op.value in ("!=", "!~")
        if bare and negative:
            return False
    return True


_CHANGERS = st.one_of(
    LABEL_FORMATS,
    st.lists(NAMED, min_size=1, max_size=2).map(lambda items: ast.Drop(tuple(items))),
    st.lists(NAMED, min_size=1, max_size=3).map(lambda items: ast.Keep(tuple(items))),
    PARSERS,
)
_FILTERED = st.tuples(
    st.builds(ast.LabelFilterStage, LABEL_FILTERS) | line_filters(),
    PARSERS,
    _CHANGERS,
    st.builds(ast.LabelFilterStage, LABEL_FILTER_LEAVES),
).map(list)


@st.composite
def _changed_and_filtered(draw: st.DrawFn) -> list[ast.Stage]:
    """A label made or taken away, and a filter that asks for it."""
    name = draw(st.sampled_from(["level", "status", "app", "trace"]))
    changed: list[ast.Stage] = [
        ast.LabelFormat((ast.LabelFormatItem(name, draw(TEMPLATES), False),)),
        ast.LabelFormat((ast.LabelFormatItem(name, draw(NAMES), True),)),
        ast.LabelFormat((ast.LabelFormatItem("x", name, True),)),
        ast.Drop((ast.NamedLabel(name, None),)),
        ast.Drop((ast.NamedLabel(name, draw(matchers(st.just(name)))),)),
        ast.Keep((ast.NamedLabel(name, draw(matchers(st.just(name)))),)),
        draw(PARSERS),
    ]
    asked = ast.StringLabelFilter(draw(matchers(st.just(name))))
    stages = [draw(PARSERS), draw(st.sampled_from(changed)), ast.LabelFilterStage(asked)]
    return draw(st.permutations(stages)) if draw(st.booleans()) else stages


_LINE_CHANGERS: st.SearchStrategy[ast.Stage] = st.one_of(
    st.just(ast.Decolorize()), st.just(ast.Unpack()), st.builds(ast.LineFormat, TEMPLATES)
)
_REWRITTEN = st.tuples(_LINE_CHANGERS, PARSERS | _CHANGERS, line_filters() | _LINE_CHANGERS).map(
    list
)
ORDERED: st.SearchStrategy[list[ast.Stage]] = st.one_of(
    _FILTERED, _changed_and_filtered(), _REWRITTEN
)
"""Stages whose order tells."""
PIPELINES = st.one_of(st.lists(STAGES, max_size=5), ORDERED).filter(_can_be_written).map(tuple)
LOG_QUERIES = st.builds(ast.LogQuery, SELECTORS, PIPELINES)
GROUPINGS = st.builds(
    lambda names, without: ast.Grouping(tuple(names), without),
    st.lists(NAMES, min_size=1, max_size=2, unique=True),
    st.booleans(),
)
UNWRAPS = st.builds(
    ast.Unwrap,
    st.sampled_from(["status", "dur", "size", "x", "absent"]),
    st.sampled_from(ast.Conversion),
    st.lists(LABEL_FILTER_LEAVES, max_size=1).map(tuple),
)


@st.composite
def range_aggregations(draw: st.DrawFn) -> ast.RangeAggregation:
    """Any range function with what it needs."""
    unwrap = draw(st.none() | UNWRAPS)
    op = draw(st.sampled_from(sorted(WITH_UNWRAP if unwrap else WITHOUT_UNWRAP)))
    query = draw(LOG_QUERIES)
    if draw(st.booleans()):
        clean = ast.StringLabelFilter(Matcher("__error__", MatchOp.EQ, ""))
        query = ast.LogQuery(query.selector, (*query.stages, ast.LabelFilterStage(clean)))
    log_range = ast.LogRange(
        query=query,
        range_ns=draw(st.sampled_from([1, 5, 60])) * NS,
        offset_ns=draw(st.sampled_from([0, 0, 0, 3, -2])) * NS,
        unwrap=unwrap,
    )
    parameter = draw(st.sampled_from([0.0, 0.5, 0.99])) if op == "quantile_over_time" else None
    grouping = draw(st.none() | GROUPINGS) if op in GROUPED and unwrap else None
    return ast.RangeAggregation(op=op, log_range=log_range, parameter=parameter, grouping=grouping)


@st.composite
def vector_aggregations(
    draw: st.DrawFn, inner: st.SearchStrategy[ast.MetricExpr]
) -> ast.VectorAggregation:
    """Any vector aggregation but approx_topk, which is topk without grouping."""
    plain = ["sum", "avg", "min", "max", "count", "stddev", "stdvar"]
    op = draw(st.sampled_from([*plain, *plain, "topk", "bottomk", "sort", "sort_desc"]))
    grouping = None if op.startswith("sort") else draw(st.none() | GROUPINGS)
    parameter = draw(st.integers(1, 3)) if op in ("topk", "bottomk") else None
    return ast.VectorAggregation(op=op, expr=draw(inner), parameter=parameter, grouping=grouping)


ARITHMETIC = st.sampled_from(["+", "-", "*", "/", "%", "^"])
COMPARISONS = st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
SETS = st.sampled_from(["and", "or", "unless"])
_JOINED = st.lists(NAMES, max_size=2, unique=True)
MATCHINGS = st.one_of(
    st.none(),
    _JOINED.map(lambda names: ast.VectorMatching(True, tuple(names))),
    # `ignoring ()` is printed as nothing, so it has a label here
    st.lists(NAMES, min_size=1, max_size=2, unique=True).map(
        lambda names: ast.VectorMatching(False, tuple(names))
    ),
)
NUMBERS = st.sampled_from([0.0, 1.0, 2.0, 0.5]).map(ast.Literal)


def _binary(inner: st.SearchStrategy[ast.MetricExpr]) -> st.SearchStrategy[ast.MetricExpr]:
    return st.one_of(
        st.builds(ast.BinaryOperation, op=ARITHMETIC, left=inner, right=NUMBERS),
        st.builds(ast.BinaryOperation, op=ARITHMETIC, left=NUMBERS, right=inner),
        st.builds(
            ast.BinaryOperation,
            op=COMPARISONS,
            left=inner,
            right=NUMBERS,
            return_bool=st.booleans(),
        ),
        st.builds(
            ast.BinaryOperation,
            op=ARITHMETIC | COMPARISONS,
            left=inner,
            right=inner,
            return_bool=st.just(False),
            matching=MATCHINGS,
        ),
        st.builds(
            ast.BinaryOperation,
            op=SETS,
            left=inner,
            right=inner,
            return_bool=st.just(False),
            matching=MATCHINGS,
        ),
    )


METRIC_QUERIES: st.SearchStrategy[ast.MetricExpr] = st.recursive(
    range_aggregations(),
    lambda inner: st.one_of(
        vector_aggregations(inner),
        vector_aggregations(inner),
        _binary(inner),
        st.builds(
            ast.LabelReplace,
            expr=inner,
            destination=NAMES,
            replacement=st.sampled_from(["$1", "x$1y", ""]),
            source=NAMES,
            regex=st.sampled_from(["(.*)", "(e).*", "a|b"]),
        ),
    ),
    max_leaves=3,
)
QUERIES: st.SearchStrategy[ast.Expr] = st.one_of(LOG_QUERIES, METRIC_QUERIES)
