"""What does a log pipeline do to one entry? The slow, obvious engine that the fast one must equal.

One entry at a time, one stage after another in the order in which they are written, straight from
reference/logql.md §4-§9. Nothing here is shared with `querier`, but the functions over single lines
of `narfi.core.text`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from logql import ast
from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.regex import compile_regex
from narfi.core.text import pattern
from narfi.core.text.ansi import strip_ansi
from narfi.core.text.fields import ParsedLine, place_pairs
from narfi.core.text.ip import compile_ip, contains_ip
from narfi.core.text.json_expressions import extract_json_paths
from narfi.core.text.json_fields import parse_json_line
from narfi.core.text.json_path import parse_json_path
from narfi.core.text.label_names import EXTRACTED_SUFFIX, sanitise
from narfi.core.text.logfmt import extract_logfmt_keys, parse_logfmt_line
from narfi.core.text.logfmt_key import check_logfmt_key
from narfi.core.text.template.errors import TemplateExecError
from narfi.core.text.template.parser import parse_template
from narfi.core.text.template.render import execute
from narfi.core.text.unpack import unpack_line
from narfi.core.units import format_bytes, parse_bytes, parse_float, parse_go_duration

ERROR = "__error__"
DETAILS = "__error_details__"
PRESERVE = "__preserve_error__"
NEGATIVE = (ast.LineOp.NOT_CONTAINS, ast.LineOp.NOT_MATCHES, ast.LineOp.NOT_PATTERN)
ONE_LABEL = re.compile(
    r"(?:[ \t\r\n]*\{\{- |\{\{)\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*(?: -\}\}[ \t\r\n]*|\}\})"
)
"""A line template that only names a label."""


@dataclass(slots=True, kw_only=True)
class Row:
    """An entry on its way: labels by category, line, error."""

    base: Mapping[str, str]  # stream labels as stored, for collisions
    stream: dict[str, str]
    metadata: dict[str, str]
    ts: int
    line: bytes
    parsed: dict[str, str] = field(default_factory=dict)
    error: str = ""
    details: str = ""
    hidden: set[str] = field(default_factory=set)  # from groupings by name

    def labels(self) -> dict[str, str]:
        """All labels as the client sees them, error labels included."""
        merged = {**self.stream, **self.metadata, **self.parsed}
        if self.error:
            merged[ERROR] = self.error
        if self.details:
            merged[DETAILS] = self.details
        return merged

    def get(self, name: str) -> str | None:
        """A label that is no error label; None when it is missing."""
        for labels in (self.parsed, self.metadata, self.stream):
            if name in labels:
                return labels[name]
        return None

    def set_parsed(self, name: str, value: str) -> None:
        """A parsed label; it hides one of another category for good."""
        self.delete(name)
        self.parsed[name] = value

    def delete(self, name: str) -> None:
        """Remove a label from every category."""
        for labels in (self.parsed, self.metadata, self.stream):
            labels.pop(name, None)

    def is_taken(self, name: str) -> bool:
        """Whether a parser must not use the name."""
        return name in self.base or name in self.metadata

    def fail(self, error: str, details: str) -> None:
        """Set the error labels."""
        self.error = error
        if details:
            self.details = details


def run_pipeline(
    stream_labels: Mapping[str, str],
    metadata: Mapping[str, str],
    ts: int,
    line: bytes,
    stages: Sequence[ast.Stage],
) -> Row | None:
    """The entry after all stages, None when a filter dropped it."""
    row = Row(base=dict(stream_labels), stream=dict(stream_labels), metadata={}, ts=ts, line=line)
    for name, value in metadata.items():
        if name == ERROR:
            row.error = value
        elif name == DETAILS:
            row.details = value
        elif value:
            row.metadata[name + EXTRACTED_SUFFIX if name in row.base else name] = value
    return row if all(apply_stage(row, stage) for stage in stages) else None


def apply_stage(row: Row, stage: ast.Stage) -> bool:
    """Change the row; False when it is dropped."""
    match stage:
        case ast.LineFilter():
            return line_passes(row.line, stage)
        case ast.LabelFilterStage():
            return label_passes(row, stage.filter)
        case ast.JsonParser():
            json_stage(row, stage)
        case ast.LogfmtParser():
            logfmt_stage(row, stage)
        case ast.RegexpParser():
            regexp_stage(row, stage)
        case ast.PatternParser():
            found = pattern.extract(pattern.compile_parser_pattern(stage.pattern), row.line)
            add(row, ParsedLine(tuple((n, _text(v)) for n, v in found)))
        case ast.Unpack():
            unpacked = unpack_line(row.line)
            add(row, unpacked.fields)
            row.line = row.line if unpacked.entry is None else unpacked.entry
        case ast.LineFormat():
            line_format(row, stage)
        case ast.LabelFormat():
            label_format(row, stage)
        case ast.Decolorize():
            row.line = strip_ansi(row.line)
        case ast.Drop():
            drop(row, stage)
        case ast.Keep():
            keep(row, stage)
        case _:
            assert_never(stage)
    return True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def line_passes(line: bytes, stage: ast.LineFilter) -> bool:
    """Any of the operands, none of them for the negative operators.

    An operand that every line satisfies counts only where it stands alone (a quirk).
    """
    if stage.op in NEGATIVE:
        return not any(_operand_matches(line, stage.op, operand) for operand in stage.operands)
    picky = [o for o in stage.operands if not _matches_all(stage.op, o)]
    return not picky or any(_operand_matches(line, stage.op, operand) for operand in picky)


def _matches_all(op: ast.LineOp, operand: ast.LineOperand) -> bool:
    if operand.is_ip:
        return False
    return operand.value == "" or (op is ast.LineOp.MATCHES and operand.value == ".*")


def _operand_matches(line: bytes, op: ast.LineOp, operand: ast.LineOperand) -> bool:
    if operand.is_ip:
        return contains_ip(compile_ip(operand.value), line)
    match op:
        case ast.LineOp.CONTAINS | ast.LineOp.NOT_CONTAINS:
            return operand.value.encode("utf-8", "surrogateescape") in line
        case ast.LineOp.MATCHES | ast.LineOp.NOT_MATCHES:
            words = operand.value.split("|")
            if len(words) > 1 and any(words) and all(_is_literal(word) for word in words):
                return any(w.encode() in line for w in words if w)
            return compile_regex(operand.value).search(line) is not None
        case _:
            return pattern.matches(pattern.compile_filter_pattern(operand.value), line)


def label_passes(row: Row, found: ast.LabelFilter) -> bool:
    """Whether the row stays; a value that cannot be read keeps it, with an error."""
    match found:
        case ast.AndFilter():
            return label_passes(row, found.left) and label_passes(row, found.right)
        case ast.OrFilter():
            return label_passes(row, found.left) or label_passes(row, found.right)
        case ast.StringLabelFilter():
            value = row.error if found.matcher.name == ERROR else row.get(found.matcher.name)
            return string_passes(found.matcher, value or "")
        case ast.IpFilter():
            if row.error:
                return True
            value = row.get(found.name)
            inside = value is not None and contains_ip(compile_ip(found.pattern), value.encode())
            return value is not None and inside != found.negated
        case ast.NumberFilter():
            return _compared(row, found.name, found.op, parse_float, found.value)
        case ast.DurationFilter():
            return _compared(row, found.name, found.op, parse_go_duration, found.value_ns)
        case ast.BytesFilter():
            printed = parse_bytes(
                format_bytes(found.value)
            )  # one decimal, powers of 1000 (a quirk)
            return _compared(row, found.name, found.op, parse_bytes, printed)
        case _:
            assert_never(found)


def _compared(
    row: Row, name: str, op: ast.CompareOp, convert: Callable[[str], float], wanted: float
) -> bool:
    value = row.get(name)
    if value is None:
        return False
    try:
        return holds(op.value, convert(value), wanted)
    except AppError as error:
        if not row.error:
            row.fail("LabelFilterErr", error.message)
        return True


def holds(op: str, a: float, b: float) -> bool:
    """A comparison by its sign; what is no number differs from everything."""
    if math.isnan(a) or math.isnan(b):
        return op == "!="
    relation = "=" if a == b else "<" if a < b else ">"
    return relation in {"==": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<="}[op]


def string_passes(matcher: Matcher, value: str) -> bool:
    """A string filter: a regex takes the value as a whole, any character being one of its dots."""
    if matcher.op in (MatchOp.RE, MatchOp.NRE):
        text = re.sub("[\ud800-\udfff]", "\ufffd", value)  # a byte that is no UTF-8
        whole = compile_regex(f"(?s){matcher.value}").fullmatch(text)
        return (whole is None) == (matcher.op is MatchOp.NRE)
    return (value == matcher.value) == (matcher.op is MatchOp.EQ)


def _is_literal(regex: str) -> bool:
    return not any(c in "\\.+*?()|[]{}^$" for c in regex)


def add(row: Row, found: ParsedLine) -> None:
    """Place what a parser found, and its error."""
    for name, value in place_pairs(found.pairs, row.is_taken, row.parsed).items():
        row.set_parsed(name, value)
    if found.error:
        row.fail(found.error, found.details)


def json_stage(row: Row, stage: ast.JsonParser) -> None:
    """All members, or the wanted paths; wanted ones overwrite, missing ones become empty."""
    if not stage.extractions:
        add(row, parse_json_line(row.line))
        return
    wanted = [(e.name, parse_json_path(e.expression)) for e in stage.extractions]
    found, misses = extract_json_paths(row.line, wanted)
    overwrite(row, found)
    for name, _ in wanted if misses else ():
        if row.get(name) is None:
            row.set_parsed(name, "")


def overwrite(row: Row, found: ParsedLine) -> None:
    """Place what an expression found: the last value counts."""
    for name, value in found.pairs:
        row.set_parsed(name + EXTRACTED_SUFFIX if row.is_taken(name) else name, value)
    if found.error:
        row.fail(found.error, found.details)


def logfmt_stage(row: Row, stage: ast.LogfmtParser) -> None:
    """All pairs, or the wanted keys; wanted ones are empty when missing."""
    if not stage.extractions:
        add(row, parse_logfmt_line(row.line, strict=stage.strict, keep_empty=stage.keep_empty))
        return
    wanted = {e.name: check_logfmt_key(e.expression) for e in stage.extractions}
    for name in wanted:
        if not row.is_taken(name):
            row.set_parsed(name, "")
    found = extract_logfmt_keys(row.line, wanted, strict=stage.strict)
    for name, value in found.pairs:
        placed = name + EXTRACTED_SUFFIX if row.is_taken(name) else name
        if placed == name or placed not in row.parsed:  # of a renamed label the first value counts
            row.set_parsed(placed, value)
    if found.error:
        row.fail(found.error, found.details)


def regexp_stage(row: Row, stage: ast.RegexpParser) -> None:
    """Named groups of the first match; a group that takes no part is empty."""
    program = compile_regex(stage.pattern)
    match = program.search(row.line)
    if match is None:
        return
    groups = sorted(program.groupindex.items(), key=lambda item: item[1])
    pairs = [(sanitise(name), _text(match.group(number) or b"")) for name, number in groups]
    add(row, ParsedLine(tuple((name, value) for name, value in pairs if name)))


def line_format(row: Row, stage: ast.LineFormat) -> None:
    """The line made by a template; unchanged when that fails.

    A template that only names a label gives that label, never the row's error.
    """
    only = ONE_LABEL.fullmatch(stage.template)
    if only is not None:
        row.line = (row.get(only[1]) or "").encode("utf-8", "surrogateescape")
        return
    template = parse_template(stage.template, "line")
    try:
        made = execute(template, row.labels(), _text(row.line), row.ts)
        row.line = made.encode("utf-8", "surrogateescape")
    except TemplateExecError as error:
        row.fail("TemplateFormatErr", str(error))


def label_format(row: Row, stage: ast.LabelFormat) -> None:
    """Renames and templates; all templates see the labels as they were before the first of them."""
    snapshot: dict[str, str] | None = None
    moved: set[str] = set()
    for item in stage.items:
        if item.is_rename:
            value = row.get(item.value)
            if value is not None:
                row.set_parsed(item.name, value)
                row.delete(item.value)
                moved.add(item.value)
                row.hidden |= moved & {item.name}
            continue
        snapshot = row.labels() if snapshot is None else snapshot
        try:
            template = parse_template(item.value, "label")
            row.set_parsed(item.name, execute(template, snapshot, _text(row.line), row.ts))
        except TemplateExecError as error:
            row.fail("TemplateFormatErr", str(error))


def drop(row: Row, stage: ast.Drop) -> None:
    """Remove labels by name or by value."""
    for item in stage.items:
        value = row.labels().get(item.name)
        if item.matcher is not None and not item.matcher.matches(value or ""):
            continue
        if item.name == ERROR:
            row.error = ""
        elif item.name == DETAILS:
            row.details = ""
        else:
            row.delete(item.name)


def keep(row: Row, stage: ast.Keep) -> None:
    """Remove every label that no item lists; error labels stay."""
    for name, value in row.labels().items():
        if name in (ERROR, DETAILS, PRESERVE):
            continue
        if not any(
            item.name == name and (item.matcher is None or item.matcher.matches(value))
            for item in stage.items
        ):
            row.delete(name)
