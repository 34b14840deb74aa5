"""Lines, stages in an order, and what comes out: worked out by hand from each stage's rule."""

from collections.abc import Sequence
from typing import NamedTuple


class Case(NamedTuple):
    """Lines (or lines with metadata) of the stream `{app="api"}`, stages, and what comes out."""

    lines: Sequence[str | tuple[str, dict[str, str]]]
    stages: str
    expected: Sequence[str | tuple[str, dict[str, str]]]
    """Lines in their order; where labels are told, they are all but `app`."""


LEVELS = ['{"level":"ERROR","n":1}', '{"level":"error","n":2}', '{"level":"info","n":3}']
STATUS = ["status=503 path=/a", "status=500 path=/b", "status=200 path=/c"]
FIVE = '{{ if hasPrefix "5" .status }}5xx{{ else }}other{{ end }}'
PLACES = [
    Case(LEVELS, '| json | label_format level="{{.level | lower}}" | level="error"', LEVELS[:2]),
    Case(
        LEVELS,
        '| json | level="error" | label_format level="x"',
        [(LEVELS[1], {"level": "x", "n": "2"})],
    ),
    Case(LEVELS, '| json | level="error" | label_format level="x" | level="error"', []),
    Case(
        LEVELS,
        '| json | label_format level="{{.level | lower}}" | level=~"err.*" | n<2',
        LEVELS[:1],
    ),
    Case(LEVELS, '| json | drop level | level=""', LEVELS),
    Case(LEVELS, '| json | drop level="info" | level=""', LEVELS[2:]),
    Case(LEVELS, '| json | keep n | level=""', LEVELS),
    Case(LEVELS, '| json | keep n, level="error" | level!=""', LEVELS[1:2]),
    Case(LEVELS, '| json | label_format severity=level | level="" | severity="info"', LEVELS[2:]),
    Case(LEVELS, '| json | label_format severity=level | level="error"', []),
    Case(LEVELS, '| json | label_format n=level, level=n | level="error"', LEVELS[1:2]),
    Case(LEVELS, '| json | label_format n=level | n="info"', LEVELS[2:]),
    Case(LEVELS, '| json | label_format n="{{ mul .n 10 }}" | n>15', LEVELS[1:]),
    Case(LEVELS, '| json | n>1 | label_format n="0" | n=0', LEVELS[1:]),
    Case(LEVELS, '| json | label_format level="x" | level="x" and n=3', LEVELS[2:]),
    Case(LEVELS, '| json | label_format level="x" | level="error" or n=3', LEVELS[2:]),
    Case(STATUS, f'| logfmt | label_format status=`{FIVE}` | status="5xx"', STATUS[:2]),
    Case(
        STATUS,
        f"| logfmt | label_format status=`{FIVE}` | status>=500",
        [
            (
                line,
                {
                    "status": mapped,
                    "path": path,
                    "__error__": "LabelFilterErr",
                    "__error_details__": f'strconv.ParseFloat: parsing "{mapped}": invalid syntax',
                },
            )
            for line, mapped, path in zip(
                STATUS, ["5xx", "5xx", "other"], ["/a", "/b", "/c"], strict=True
            )
        ],
    ),
    Case(STATUS, '| status="" | logfmt', STATUS),
    Case(STATUS, '| status!="" | logfmt', []),
    Case(STATUS, '| status="" | logfmt | status="200"', STATUS[2:]),
    Case(STATUS, '| logfmt | status>300 | drop status | logfmt | status="500"', STATUS[1:2]),
    Case(
        STATUS,
        '| regexp "(?P<code>5..)" | label_format code="{{.code}}!" | code=~"50.!"',
        STATUS[:2],
    ),
    Case(STATUS, '| pattern "status=<code> <_>" | label_format path=code | path="200"', STATUS[2:]),
    Case(
        ['{"_entry":"in","level":"warn"}'], '| unpack | label_format level="w" | level="w"', ["in"]
    ),
    Case(
        [("x", {"level": "WARN"})],
        '| label_format level="{{.level | lower}}" | level="warn"',
        ["x"],
    ),
    Case([("x", {"level": "WARN"})], '| drop level | level=""', ["x"]),
    Case(
        [('{"level":"in"}', {"level": "out"})],
        '| json | label_format level=level_extracted | level="in"',
        ['{"level":"in"}'],
    ),
    Case(
        [('{"level":"in"}', {"level": "out"})],
        '| json | level="out" | level_extracted="in"',
        ['{"level":"in"}'],
    ),
    Case(
        [('{"level":"in"}', {"level": "out"})],
        '| drop level | json | level="in"',
        ['{"level":"in"}'],
    ),
    Case(['{"app":"other"}'], '| drop app | json | app=""', ['{"app":"other"}']),
    Case(
        ['{"app":"other"}'],
        '| json | label_format app="{{.app_extracted}}" | app="other"',
        ['{"app":"other"}'],
    ),
    Case(
        ["ip=10.0.0.1"],
        '| logfmt | label_format ip="192.168.0.1" | ip=ip("192.168.0.0/16")',
        ["ip=10.0.0.1"],
    ),
    Case(["d=1h"], '| logfmt | label_format d="5ms" | d<10ms', ["d=1h"]),
    Case(["size=1GB"], '| logfmt | label_format size="5B" | size<10B', ["size=1GB"]),
]

ENVS = ["env=prod", "env=preprod", "env=nonprod", "env=production"]
LETTERS = ["a=x", "a=xy", "a=", "b=1"]
REGEXES = [
    Case(ENVS, '| logfmt | env=~"prod|preprod"', ENVS[:2]),
    Case(ENVS, '| logfmt | env!~"prod|preprod"', ENVS[2:]),
    Case(ENVS, '| logfmt | env=~"prod.*"', [ENVS[0], ENVS[3]]),
    Case(ENVS, '| logfmt | env=~".*prod"', ENVS[:3]),
    Case(ENVS, '| logfmt | env=~".*prod.*"', ENVS),
    Case(ENVS, '| logfmt | env=~"prod"', ENVS[:1]),
    Case(ENVS, '| logfmt | env=~"rod"', []),
    Case(ENVS, '| logfmt | env=~"(?i)PROD|x"', ENVS[:1]),
    Case(ENVS, '| logfmt | env=~"prod|production" and env!~"prod"', ENVS[3:]),
    Case(ENVS, '| logfmt | drop env=~"prod|preprod" | env=""', ENVS[:2]),
    Case(ENVS, '| logfmt | keep env=~"prod|preprod" | env!=""', ENVS[:2]),
    Case(LETTERS, '| logfmt --keep-empty | a=~"x|"', [LETTERS[0], *LETTERS[2:]]),
    Case(LETTERS, '| logfmt --keep-empty | a=~"|x"', [LETTERS[0], *LETTERS[2:]]),
    Case(LETTERS, '| logfmt --keep-empty | a!~"x|"', LETTERS[1:2]),
    Case(LETTERS, '| logfmt | a=~"x||zz"', [LETTERS[0], *LETTERS[2:]]),
    Case(LETTERS, '| logfmt | a=~"()"', LETTERS[2:]),
    Case(LETTERS, '| logfmt | a=~".*"', LETTERS),
    Case(LETTERS, '| logfmt | a=~".+"', LETTERS[:2]),
    Case(LETTERS, '| logfmt | a=~"x?"', [LETTERS[0], *LETTERS[2:]]),
    Case([("l", {"pod": "a-1"}), ("m", {"pod": "ba-1"})], '| pod=~"a.*"', ["l"]),
    Case(["l"], '| app=~"ap|pi"', []),
    Case(["l"], '| app=~"api|apix"', ["l"]),
    Case(['{"a":"x\\ny"}'], '| json | a=~"x.y"', ['{"a":"x\\ny"}']),
    Case(["{", "{}"], '| json | __error__=~"JSON|"', ["{}"]),
    Case(["{", "{}"], '| json | __error__=~"JSON.*"', ["{"]),
]

BLUE = "\x1b[36mduration=\x1b[0m3.62"
LINES = [
    Case([BLUE], '| decolorize |= "duration=3"', ["duration=3.62"]),
    Case([BLUE], '|= "duration=3" | decolorize', []),
    Case([BLUE], '|= "\x1b[36m" | decolorize', ["duration=3.62"]),
    Case([BLUE], '| decolorize |= "\x1b"', []),
    Case([BLUE], '| decolorize != "[36m"', ["duration=3.62"]),
    Case([BLUE], '| decolorize |~ "^duration=[0-9]"', ["duration=3.62"]),
    Case([BLUE], '| decolorize |> "duration=3<_>"', ["duration=3.62"]),
    Case([BLUE], '| json | decolorize | logfmt |= "duration=3"', ["duration=3.62"]),
    Case(
        [BLUE],
        '| decolorize | label_format x="y" | drop x | json |= "duration=3"',
        ["duration=3.62"],
    ),
    Case([BLUE], '| decolorize | line_format "{{__line__}}s" |= "3.62s"', ["duration=3.62s"]),
    Case(["\x1b[1m10.0.0\x1b[0m.1"], '| decolorize |= ip("10.0.0.1")', ["10.0.0.1"]),
    Case(["a=1"], '| logfmt | line_format "b={{.a}}" |= "b=1" != "a="', ["b=1"]),
    Case(["a=1"], '| logfmt | line_format "b={{.a}}" | json |= "a="', []),
    Case(['{"_entry":"inner"}'], '| unpack |= "inner" != "_entry"', ["inner"]),
    Case(['{"_entry":"inner"}'], '| unpack | json |= "_entry"', []),
    Case(["a=1"], '| logfmt |= "a=" | line_format "b"', ["b"]),
]

NEWLINE = 'test="hello\\\\again\nworld" n=2'
FIELDS = [
    Case([NEWLINE], "| logfmt", [(NEWLINE, {"test": "hello\\again\nworld", "n": "2"})]),
    Case([NEWLINE], "| logfmt --strict", [(NEWLINE, {"test": "hello\\again\nworld", "n": "2"})]),
    Case([NEWLINE], '| logfmt t="test"', [(NEWLINE, {"t": "hello\\again\nworld"})]),
    Case([NEWLINE], '| logfmt | test=~"hello.*world" | n=2', [NEWLINE]),
    Case(
        ['a="\t\r\x01\x7f\\n" b=1'],
        "| logfmt --strict",
        [('a="\t\r\x01\x7f\\n" b=1', {"a": "\t\r\x01\x7f\n", "b": "1"})],
    ),
    Case(
        ['a="\t\r\x01" b=1'],
        "| logfmt --strict",
        [('a="\t\r\x01" b=1', {"a": "\t\r\x01", "b": "1"})],
    ),
    Case(
        ['a="\\/\\u0041\\\'\\b\\f" b=1'],
        "| logfmt --strict",
        [('a="\\/\\u0041\\\'\\b\\f" b=1', {"a": "/A'\b\f", "b": "1"})],
    ),
    Case(
        ['a="\\ud83d\\ude00\n" b=1'],
        "| logfmt",
        [('a="\\ud83d\\ude00\n" b=1', {"a": "😀\n", "b": "1"})],
    ),
    Case(['a="x\\ud83d\n" b=1'], "| logfmt", [('a="x\\ud83d\n" b=1', {"a": "x \n", "b": "1"})]),
    Case(['a="\n\\q" b=1'], "| logfmt", [('a="\n\\q" b=1', {"b": "1"})]),
    Case(
        ['b=1 a="\\u00g0\n" c=1'],
        "| logfmt --strict",
        [
            (
                'b=1 a="\\u00g0\n" c=1',
                {
                    "b": "1",
                    "__error__": "LogfmtParserErr",
                    "__error_details__": "logfmt syntax error at pos 16 : invalid quoted value",
                },
            )
        ],
    ),
    Case(['a="\n\\" b=1'], "| logfmt", [('a="\n\\" b=1', {})]),
    Case(
        ["status=205 code=abc"],
        '| logfmt code="status"',
        [("status=205 code=abc", {"code": "205"})],
    ),
    Case(
        ["code=abc status=205"],
        '| logfmt code="status"',
        [("code=abc status=205", {"code": "205"})],
    ),
    Case(
        ["code=a status=1 code=b"],
        '| logfmt code="status"',
        [("code=a status=1 code=b", {"code": "1"})],
    ),
    Case(
        ["status=1 code=a status=2"],
        '| logfmt code="status"',
        [("status=1 code=a status=2", {"code": "2"})],
    ),
    # without the key, a key of the expression's name (as recorded)
    Case(["code=a b=1"], '| logfmt code="status"', [("code=a b=1", {"code": "a"})]),
    Case(["status= code=a"], '| logfmt code="status"', [("status= code=a", {"code": ""})]),
    Case(
        ["code=a status=1"],
        '| logfmt code="status", status="code"',
        [("code=a status=1", {"code": "1", "status": "a"})],
    ),
    Case(
        ["status=1"],
        '| logfmt code="status", status="code"',
        [("status=1", {"code": "1", "status": ""})],
    ),
    Case(
        ["status=1"],
        '| logfmt a="status", status, b="status"',
        [("status=1", {"a": "1", "status": "1", "b": "1"})],
    ),
    Case(["a=1 b=2"], '| logfmt b="a", c="b"', [("a=1 b=2", {"b": "1", "c": "2"})]),
    Case(
        ["app=a app=b x=3"],
        "| logfmt app, x",
        [("app=a app=b x=3", {"app_extracted": "a", "x": "3"})],
    ),
    Case(
        ['{"status":205,"code":"abc"}'],
        '| json code="status"',
        [('{"status":205,"code":"abc"}', {"code": "205"})],
    ),
    Case(
        ['{"code":"abc","status":205}'],
        '| json code="status", status="code"',
        [('{"code":"abc","status":205}', {"code": "205", "status": "abc"})],
    ),
    Case(['{"code":"abc"}'], '| json code="status"', [('{"code":"abc"}', {"code": ""})]),
    Case(
        ['{"status":205}'],
        '| json a="status", b="status"',
        [('{"status":205}', {"a": "205", "b": "205"})],
    ),
]

SECONDS = {
    "v": "+3s",
    "__error__": "LabelFilterErr",
    "__error_details__": 'strconv.ParseFloat: parsing "+3s": invalid syntax',
}
NO_OBJECT = "Value looks like object, but can't find closing '}' symbol"
FAKE = '{"__error__":"0"}'
ERRORS = [
    Case(["v=+3s"], '| logfmt | v>0 | line_format "{{.__error__}}"', [("", SECONDS)]),
    Case(["v=+3s"], '| logfmt | v>0 | line_format "{{ .__error__ -}}  "', [("", SECONDS)]),
    Case(
        ["v=+3s"], '| logfmt | v>0 | line_format "{{.__error__}}!"', [("LabelFilterErr!", SECONDS)]
    ),
    Case(["v=+3s"], '| logfmt | v>0 | line_format "{{.__error_details__}}"', [("", SECONDS)]),
    Case(
        ["v=+3s"],
        '| logfmt | v>0 | label_format e="{{.__error__}}"',
        [("v=+3s", {**SECONDS, "e": "LabelFilterErr"})],
    ),
    Case(["v=+3s"], "| logfmt | v>0 | label_format e=__error__", [("v=+3s", SECONDS)]),
    Case(
        ["[1]"],
        '| json | line_format "{{.__error__}}"',
        [
            (
                "",
                {
                    "__error__": "JSONParserErr",
                    "__error_details__": NO_OBJECT,
                },
            )
        ],
    ),
    Case([FAKE], '| json | line_format "{{.__error__}}"', [("0", {"__error__": "0"})]),
    Case(
        [FAKE],
        '| json | line_format "{{.__error__}}." | drop __error__',
        [("0.", {"__error__": "0"})],
    ),
    Case([FAKE], '| json | __error__=""', [(FAKE, {"__error__": "0"})]),
    Case([FAKE], '| json | __error__="0"', []),
    Case([FAKE], "| json | __error__>=0", [(FAKE, {"__error__": "0"})]),
    Case(["{"], "| json | __error__>=0", []),
    Case([FAKE], "| json | keep x", [(FAKE, {"__error__": "0"})]),
    Case([FAKE], "| json | label_format e=__error__", [(FAKE, {"e": "0"})]),
    Case(
        ['{"__error__":"0","v":"+3s"}'],
        '| json | v>0 | line_format "{{.__error__}}"',
        [("0", SECONDS)],
    ),
    Case(
        ['{"__error__":"0","v":"+3s"}'],
        '| json | v>0 | line_format "{{.__error__}}."',
        [("LabelFilterErr.", SECONDS)],
    ),
]

METRICS: list[tuple[Sequence[str], str, dict[str, float]]] = [
    (
        LEVELS,
        'sum by (level) (count_over_time({app="api"} | json'
        ' | label_format level="{{.level | lower}}" | level="error" [1m]))',
        {'{level="error"}': 2},
    ),
    (
        LEVELS,
        'sum by (level) (count_over_time({app="api"} | json | level="error"'
        ' | label_format level="{{.level | upper}}" [1m]))',
        {'{level="ERROR"}': 1},
    ),
    (LEVELS, 'sum(count_over_time({app="api"} | level="" | json [1m]))', {"{}": 3}),
    (LEVELS, 'sum(count_over_time({app="api"} | json | drop level | level="" [1m]))', {"{}": 3}),
    (LEVELS, 'sum(count_over_time({app="api"} | json | keep n | level!="" [1m]))', {}),
    (
        LEVELS,
        'sum by (l) (count_over_time({app="api"} | json | label_format l=level | level="" [1m]))',
        {'{l="ERROR"}': 1, '{l="error"}': 1, '{l="info"}': 1},
    ),
    (
        LEVELS,
        'sum(sum_over_time({app="api"} | json | label_format n="{{ mul .n 10 }}"'
        " | unwrap n | n>15 [1m]))",
        {"{}": 50},
    ),
    (
        LEVELS,
        'sum(sum_over_time({app="api"} | json | unwrap n | level=~"error|errors" [1m]))',
        {"{}": 2},
    ),
    (
        STATUS,
        f'sum by (status) (rate({{app="api"}} | logfmt | label_format status=`{FIVE}`'
        ' | status="5xx" [1s]))',
        {'{status="5xx"}': 2},
    ),
    (ENVS, 'sum(count_over_time({app="api"} | logfmt | env=~"prod|preprod" [1m]))', {"{}": 2}),
    ([BLUE], 'sum(count_over_time({app="api"} | decolorize |= "duration=3" [1m]))', {"{}": 1}),
    ([BLUE], 'sum(bytes_over_time({app="api"} | decolorize [1m]))', {"{}": 13}),
    (
        ['{"_entry":"inner"}'],
        'sum(count_over_time({app="api"} | unpack |= "inner" != "_entry" [1m]))',
        {"{}": 1},
    ),
    (['{"_entry":"inner"}'], 'sum(bytes_over_time({app="api"} | unpack [1m]))', {"{}": 5}),
    (
        ["a=1"],
        'sum by (x) (count_over_time({app="api"} | logfmt | line_format "b={{.a}}"'
        ' | label_format x="{{__line__}}" [1m]))',
        {'{x="b=1"}': 1},
    ),
    (
        ["status=205 code=abc"],
        'sum by (code) (count_over_time({app="api"} | logfmt code="status" [1m]))',
        {'{code="205"}': 1},
    ),
    (
        ["a=1 b=2", "a=3", "b=4"],
        # moved away and made again: groupings by its name do not see `b` (as recorded)
        'sum by (a, b) (count_over_time({app="api"} | logfmt | label_format a=b, b=a [1m]))',
        {"{}": 2, '{b="3"}': 1},
    ),
    (
        ["a=1 b=2", "a=3", "b=4"],
        'max by (a, b) (count_over_time({app="api"} | logfmt | label_format a=b, b=a [1m]))',
        {'{b="2"}': 1, '{b="3"}': 1, '{b="4"}': 1},
    ),
]
