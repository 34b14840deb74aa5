"""Which words does LogQL have? Token types, how they are called in errors, and in which order.

Keywords are matched without regard to case; function words are tokens only before `(`, or before
`by`/`without` (reference/logql.md §1).
"""

OPERATORS = {
    "|=": "PIPE_EXACT",
    "|~": "PIPE_MATCH",
    "|>": "PIPE_PATTERN",
    "!=": "NEQ",
    "!~": "NRE",
    "!>": "NPA",
    "=~": "RE",
    "==": "CMP_EQ",
    ">=": "GTE",
    "<=": "LTE",
    "{": "OPEN_BRACE",
    "}": "CLOSE_BRACE",
    "]": "CLOSE_BRACKET",
    "(": "OPEN_PARENTHESIS",
    ")": "CLOSE_PARENTHESIS",
    "=": "EQ",
    ",": "COMMA",
    ".": "DOT",
    "|": "PIPE",
    ">": "GT",
    "<": "LT",
    "+": "ADD",
    "-": "SUB",
    "*": "MUL",
    "/": "DIV",
    "%": "MOD",
    "^": "POW",
}

KEYWORDS = {
    "by": "BY",
    "without": "WITHOUT",
    "bool": "BOOL",
    "or": "OR",
    "and": "AND",
    "unless": "UNLESS",
    "on": "ON",
    "ignoring": "IGNORING",
    "group_left": "GROUP_LEFT",
    "group_right": "GROUP_RIGHT",
    "offset": "OFFSET",
    "unwrap": "UNWRAP",
    "json": "JSON",
    "logfmt": "LOGFMT",
    "regexp": "REGEXP",
    "unpack": "UNPACK",
    "pattern": "PATTERN",
    "line_format": "LINE_FORMAT",
    "label_format": "LABEL_FORMAT",
    "decolorize": "DECOLORIZE",
    "drop": "DROP",
    "keep": "KEEP",
}

RANGE_FUNCTIONS = (
    "rate",
    "rate_counter",
    "count_over_time",
    "bytes_rate",
    "bytes_over_time",
    "absent_over_time",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "quantile_over_time",
    "first_over_time",
    "last_over_time",
)

VECTOR_FUNCTIONS = (
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "sort",
    "sort_desc",
    "approx_topk",
)

FUNCTIONS = {
    **dict.fromkeys(RANGE_FUNCTIONS, "RANGE_FUNCTION"),
    **dict.fromkeys(VECTOR_FUNCTIONS, "VECTOR_FUNCTION"),
    "label_replace": "LABEL_REPLACE",
    "vector": "VECTOR",
    "ip": "IP",
    "bytes": "BYTES_CONV",
    "duration": "DURATION_CONV",
    "duration_seconds": "DURATION_SECONDS_CONV",
}

SHOWN = {
    **{name: text for text, name in OPERATORS.items()},
    **{name: text for text, name in KEYWORDS.items()},
    "IP": "ip",
    "LABEL_REPLACE": "label_replace",
}
"""Token types whose name in errors is their text; every other type is shown by its own name."""

ORDER = [
    *("BYTES", "IDENTIFIER", "STRING", "NUMBER", "FUNCTION_FLAG", "DURATION", "RANGE"),
    *("EQ", "RE", "NRE", "NPA", "OPEN_BRACE", "CLOSE_BRACE", "COMMA", "DOT"),
    *("PIPE_MATCH", "PIPE_EXACT", "PIPE_PATTERN", "OPEN_PARENTHESIS", "CLOSE_PARENTHESIS"),
    *("BY", "WITHOUT", "BOOL", "JSON", "REGEXP", "LOGFMT", "PIPE", "LINE_FORMAT", "LABEL_FORMAT"),
    *("UNWRAP", "BYTES_CONV", "DURATION_CONV", "DURATION_SECONDS_CONV", "UNPACK", "OFFSET"),
    *("PATTERN", "IP", "ON", "IGNORING", "GROUP_LEFT", "GROUP_RIGHT"),
    *("DECOLORIZE", "DROP", "KEEP", "OR", "AND", "UNLESS", "CMP_EQ", "NEQ"),
]
"""The order in which alternatives are listed; types that are not in it come last."""


def shown(token_type: str, text: str) -> str:
    """How a found token is called in an error."""
    if token_type == "$END":
        return "$end"
    if token_type in ("RANGE_FUNCTION", "VECTOR_FUNCTION"):
        return text.upper()
    return SHOWN.get(token_type, token_type)


def expected_names(token_types: set[str]) -> list[str]:
    """The alternatives as they are listed in an error."""
    place = {name: index for index, name in enumerate(ORDER)}
    found = sorted(token_types, key=lambda name: (place.get(name, len(place)), name))
    return [SHOWN.get(name, name) for name in found]
