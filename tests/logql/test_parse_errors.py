"""Which words has a mistake? Worked out from the grammar (reference/logql.md §2) and from how a
LALR parser reads: it stops at the first token that cannot stand where it does, and never looks
behind it; it lists what it could have shifted there, when that is at most four kinds of tokens."""

import pytest

from logql.parser import parse
from narfi.core.errors import AppError

S = '{app="x"}'
LOST = "(line lost) "
"""Behind a token that is scanned beyond its first character the recorded server says line 0."""

SYNTAX_ERRORS = {  # `§` stands before the token that is told
    # what stands behind the mistake is not read: not even a range that is none
    f"sum_over_time(§rate({S}[5m])[1h:5m])": "RATE, expecting NUMBER or { or (",
    f"avg_over_time(§sum({S}[5m])[1h:5m])": "SUM, expecting NUMBER or { or (",
    f'{S} §foo |= "\\q"': "IDENTIFIER",
    f'{S} | json§, x="unterminated': ",",
    f"count_over_time({S}[5m]) §foo [5x]": "IDENTIFIER",
    # late in a query
    f"sum by (a) (rate({S}[5m])) §by (b)": "by",
    f"sum(rate({S}[5m])) > 1 §2": "NUMBER",
    f"rate({S}[5m]) / rate({S}[5m]§": "$end, expecting )",
    f"rate({S}[5m]) + on (a,§) rate({S}[5m])": "), expecting IDENTIFIER",
    f"rate({S}[5m]) + on §a rate({S}[5m])": "IDENTIFIER, expecting (",
    f"rate({S}[5m]) + ignoring (a §b) 1": "IDENTIFIER, expecting , or )",
    f"rate({S}[5m]) + on (a) group_left (b§": "$end, expecting , or )",
    f"rate({S}[5m]) + on (a) §bool 1": "bool",
    f"rate({S}[5m]) + §group_left 1": "group_left",
    f"((rate({S}[5m]))§": "$end",
    f"sum({S}§) )": ")",  # where the log query ends, not behind it
    f"sum({S}|json§)": ")",
    f'label_replace({S}§, "a"': ",",
    f'label_replace(rate({S}[5m]), "a" §"b"': "STRING, expecting ,",
    'label_replace(vector(1),"a","b","c","d"§,"e")': ",, expecting )",
    f'label_replace(rate({S}[5m]), §a, "b","c","d")': "IDENTIFIER, expecting STRING",
    # label filters
    f"{S} | a > §": "$end",
    f'{S} | a >= §"b"': "STRING",
    f"{S} | a =~ §b": "IDENTIFIER, expecting STRING",
    f"{S} | a =~ §5": "NUMBER, expecting STRING",
    f'{S} | a="b" and§': "$end, expecting IDENTIFIER or (",
    f'{S} | (a="b" or§': "$end, expecting IDENTIFIER or (",
    f'{S} | a="b" unless §c="d"': "IDENTIFIER",  # an operator between queries, no filter
    f'{S} | ((a="b")§': "$end",
    f"{S} | a = ip(§5)": "NUMBER, expecting STRING",
    f'{S} | a = ip("1.1.1.1"§': "$end, expecting )",
    f"{S} | a > -§1d": LOST + "DURATION, expecting NUMBER",  # days have no negative form
    f"{S} | a > +§5s": LOST + "DURATION, expecting NUMBER",
    f"{S} | a > 5b§": "$end",  # no unit: a number and a name
    f"{S} | a§.b > 5": ".",
    # parsers and formats
    f"{S} | json a=§": "$end, expecting STRING",
    f'{S} | json a="b" §c="d"': "IDENTIFIER",
    f"{S} | logfmt --strict --§kept": "IDENTIFIER, expecting NUMBER",
    f"{S} | logfmt --§strictly": "IDENTIFIER, expecting NUMBER",  # minus, and a sign
    f"{S} | json §--strict": LOST + "FUNCTION_FLAG",
    f"{S} | line_format §{{{{.a}}}}": "{, expecting STRING",
    f'{S} | label_format a="b" §c=d': "IDENTIFIER",
    f'{S} | label_format a§=="b"': LOST + "==, expecting =",
    f"{S} | label_format a=§5": "NUMBER, expecting IDENTIFIER or STRING",
    f"{S} | label_format a=b,§": "$end, expecting IDENTIFIER",
    f"{S} | drop§": "$end, expecting IDENTIFIER",
    f'{S} | keep a, §"b"': "STRING, expecting IDENTIFIER",
    f"{S} | §label_replace(a)": "label_replace",
    f"{S} | §rate(a)": "RATE",
    # line filters
    f"{S} |= ip(§": "$end, expecting STRING",
    f'{S} |= "a" or §ip "b"': "IDENTIFIER, expecting STRING or ip",
    f'{S} |> "a" §"b"': "STRING",
    f'{S} |= "a" or§': "$end, expecting STRING or ip",
    f'{S} §] |= "a"': "]",
    # ranges
    f"count_over_time({S} §offset 5m)": "offset",
    f"count_over_time({S}[5m] offset §-1d)": "-, expecting DURATION",
    f"count_over_time({S}[5m] offset§)": "), expecting DURATION",
    f"count_over_time({S}[5m] offset 5m |= §)": "), expecting STRING or ip",
    f"count_over_time(({S})§": "$end, expecting RANGE",
    f"count_over_time(({S}) §5m)": LOST + "DURATION, expecting RANGE",
    f"sum_over_time(({S} | unwrap a §b": "IDENTIFIER, expecting RANGE or ) or |",
    f"sum_over_time({S} | unwrap bytes(a §[5m])": LOST + "RANGE, expecting )",
    f"sum_over_time({S} | unwrap bytes(§5) [5m])": "NUMBER, expecting IDENTIFIER",
    f"quantile_over_time(0.9 §{S} | unwrap a [5m])": "{, expecting ,",
    f"quantile_over_time(0.9, {S} | unwrap a [5m]§": "$end, expecting )",
    # places: lines, tabs, characters of more than one byte
    f"sum(\n  rate({S}[5m])\n) by §a": "IDENTIFIER, expecting (",
    f'{S} |= "äöü" §x': "IDENTIFIER",
    f"{S}\r\n| json\r\n| §| logfmt": "|",
    f"{S} # why\n|= §x": "IDENTIFIER, expecting STRING or ip",
}

OTHER_ERRORS = {  # `§` stands before the token that cannot be read
    f'{S} |= §"\\ud800"': "invalid syntax",
    f'{S} |= §"\\777"': "invalid syntax",
    f'{S} |= §"\\xg0"': "invalid char escape",
    f'{S} |= §"\\\'"': "invalid char escape",
    f'{S} |= §"a\nb"': "literal not terminated",
    f"{S}\n|= §`a": "literal not terminated",
    f'{S} |= §"a\udcffb"': "invalid UTF-8 encoding",
    f"{S} |= §`a\0b`": "invalid character NUL",
    f"{S} §/* x": "comment not terminated",
    f"count_over_time({S}§[5m": LOST + "missing closing ']' in duration",
    f"count_over_time({S}§[1h:5m])": LOST + 'unknown unit "h:" in duration "1h:5m"',
    f"count_over_time({S}§[9999999y])": LOST + "duration out of range",
    # numbers that are badly written are told when the text is right otherwise
    "vector(§08)": "invalid digit '8' in octal literal",
    "vector(§1__0)": "'_' must separate successive digits",
    "vector(§1e)": "exponent has no digits",
    f"topk(§09, rate({S}[5m]))": "invalid digit '9' in octal literal",
    f"sum_over_time({S}[5m]) + §)": "syntax error: unexpected )",  # before any mistake of meaning
}

WITHOUT_PLACE = {
    "1 + 1e": 'unable to parse literal as a float: strconv.ParseFloat: parsing "1e": '
    "invalid syntax",
    f"{S} | a > 1e400": "unable to parse literal as a float: strconv.ParseFloat: parsing "
    '"1e400": value out of range',
    "vector(0x10)": "unable to parse vectorExpr as a float: strconv.ParseFloat: parsing "
    '"0x10": invalid syntax',
    f"quantile_over_time(0x10, {S} | unwrap a [5m])": "invalid parameter for operation "
    'quantile_over_time: strconv.ParseFloat: parsing "0x10": invalid syntax',
    f"rate(5.0, {S}[5m])": "parameter 5.0 not supported for operation rate",
    f"topk(1e3, rate({S}[5m]))": "invalid parameter topk(1e3,",
    f"topk({'9' * 5000}, rate({S}[5m]))": f"invalid parameter topk({'9' * 5000},",
    # a regex or a pattern that means nothing is told before a mistake of form behind it
    '{app=~"("} |= ': "error parsing regexp: missing closing ): `(`",
    f'{S} | a=~"(" | | json': "error parsing regexp: missing closing ): `(`",
    f'{S} | regexp "x" )': "invalid regexp parser: at least one named capture must be supplied",
    # a mistake of meaning only when the text is grammatical; the outermost and leftmost first
    f"topk(sum_over_time({S}[5m]))": "parameter required for operation topk",
    f"sum_over_time({S}[5m]) / avg_over_time({S}[5m])": "invalid aggregation sum_over_time "
    "without unwrap",
    f"sum_over_time({S}[5m]) or 1": "unexpected literal for right leg of logical/set binary "
    "operation (or): 1.000000",
    f"sum(rate({S}[5m]) by (a))": "grouping not allowed for rate aggregation",
    f"rate({S}[5m]) + {S} | json": "unexpected type for right leg of binary operation (+): "
    "*syntax.PipelineExpr",
    f"bottomk(2, sort by (a) (rate({S}[5m])))": "sort and sort_desc doesn't allow grouping by ",
    # neighbouring line filters are one stage, in front of what they may pass
    f'{S} |= "a" |~ "("': 'stage \'|= "a" |~ "("\' : error parsing regexp: missing closing ): `(`',
    f'{S} |= "a" | json |~ "("': 'stage \'|= "a" |~ "("\' : error parsing regexp: missing '
    "closing ): `(`",
    f'{S} |= "a" | json | b="c" |~ "("': "stage '|~ \"(\"' : error parsing regexp: missing "
    "closing ): `(`",
    # the whole pattern where a parenthesis is too many, and what might be a name is none
    '{app=~"a))"}': "error parsing regexp: unexpected ): `a))`",
    f'{S} |~ "x(?<=a)b"': "stage '|~ \"x(?<=a)b\"' : error parsing regexp: invalid named "
    "capture: `(?<=a)b`",
    f'{S} |~ "(?<!a)b>c"': "stage '|~ \"(?<!a)b>c\"' : error parsing regexp: invalid named "
    "capture: `(?<!a)b>`",
    f'{S} |~ "(?<n-a>x)"': "stage '|~ \"(?<n-a>x)\"' : error parsing regexp: invalid named "
    "capture: `(?<n-a>`",
    f'{S} |~ "(?<n>"': "stage '|~ \"(?<n>\"' : error parsing regexp: missing closing ): `(?<n>`",
    f'{S} |~ "(?<n"': "stage '|~ \"(?<n\"' : error parsing regexp: invalid named capture: `(?<n`",
    f'{S} |~ "(?<"': "stage '|~ \"(?<\"' : error parsing regexp: invalid or "
    "unsupported Perl syntax: `(?<`",
    f'{S} |~ "(?=a)"': "stage '|~ \"(?=a)\"' : error parsing regexp: invalid or unsupported Perl "
    "syntax: `(?=`",
    # the text is good, but not within what a matcher makes of it
    '{app=~"\\\\Qa"}': "error parsing regexp: missing closing ): `^(?s:\\Qa)$`",
    '{app=~"a\\xff"}': "error parsing regexp: invalid UTF-8: `\udcff`",
    f'{S} |~ "(\\xff"': "stage '|~ \"(\\xff\"' : error parsing regexp: invalid UTF-8: `\udcff`",
    # a prefix has a length, neither a mask nor leading zeros
    f'{S} |= ip("1.2.3.0/024")': "stage '|= ip(\"1.2.3.0/024\")' : ip: invalid pattern: "
    '"1.2.3.0/024"',
    f'{S} | a=ip("1.2.3.0/255.255.255.0")': "stage '| a=ip(\"1.2.3.0/255.255.255.0\")' : ip: "
    'invalid pattern: "1.2.3.0/255.255.255.0"',
    f'{S} !~ "x" or "("': 'stage \'!~ "x" !~ "("\' : error parsing regexp: missing closing ): `(`',
}


def told(query: str) -> str:
    """What is said of a query that is wrong."""
    with pytest.raises(AppError) as caught:
        parse(query)
    return caught.value.message


def place(marked: str, expected: str) -> tuple[str, str]:
    """(the query, the words of its mistake) of a query in which the mistake is marked."""
    before, after = marked.split("§")
    lines = before.split("\n")
    line = 0 if expected.startswith(LOST) else len(lines)
    words = expected.removeprefix(LOST)
    return before + after, f"parse error at line {line}, col {len(lines[-1]) + 1}: {words}"


@pytest.mark.parametrize(("marked", "expected"), SYNTAX_ERRORS.items())
def test_the_first_token_that_cannot_stand_is_told(marked: str, expected: str) -> None:
    lost = LOST if expected.startswith(LOST) else ""
    token = expected.removeprefix(LOST)
    query, words = place(marked, f"{lost}syntax error: unexpected {token}")
    assert told(query) == words


@pytest.mark.parametrize(("marked", "expected"), OTHER_ERRORS.items())
def test_a_token_that_cannot_be_read_is_told(marked: str, expected: str) -> None:
    query, words = place(marked, expected)
    assert told(query) == words


@pytest.mark.parametrize(("query", "expected"), WITHOUT_PLACE.items())
def test_mistakes_without_a_place(query: str, expected: str) -> None:
    assert told(query) == f"parse error : {expected}"
