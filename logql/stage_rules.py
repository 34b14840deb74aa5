"""Does a stage compile? Regexes, patterns, addresses, paths and templates, with Loki's texts."""

from collections.abc import Sequence

from logql import ast
from logql.errors import LogQLValidationError
from logql.format import format_stage
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.regex import compile_regex
from narfi.core.text.ip import compile_ip
from narfi.core.text.json_path import parse_json_path
from narfi.core.text.logfmt_key import check_logfmt_key
from narfi.core.text.pattern import compile_filter_pattern, compile_parser_pattern
from narfi.core.text.template.parser import parse_template

_POSITIVE_IP = (ast.LineOp.CONTAINS, ast.LineOp.NOT_CONTAINS)
ERROR_LABEL = "__error__"


class _RuleError(InvalidRequestError):
    """The reason that stands behind `stage '…' :`."""


def check_regexp_parser(pattern: str) -> None:
    """At least one named group, no name twice."""
    try:
        program = compile_regex(pattern)
    except AppError as error:
        message = f"invalid regexp parser: {error.message}"
        raise LogQLValidationError(message) from error
    names = group_names(pattern)
    for name in names:
        if names.count(name) > 1:
            message = f"invalid regexp parser: duplicate extracted label name '{name}'"
            raise LogQLValidationError(message)
    if not program.groupindex:
        message = "invalid regexp parser: at least one named capture must be supplied"
        raise LogQLValidationError(message)


def group_names(pattern: str) -> list[str]:
    """Names of the capturing groups in order (escapes and classes are skipped)."""
    names: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 2
            continue
        if char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        elif not in_class:
            for mark in ("(?P<", "(?<"):
                if pattern.startswith(mark, at):
                    end = pattern.find(">", at)
                    names.append(pattern[at + len(mark) : end])
                    break
        at += 1
    return names


def check_pattern_parser(pattern: str) -> None:
    """At least one named capture, none side by side."""
    try:
        compile_parser_pattern(pattern)
    except AppError as error:
        raise LogQLValidationError(f"invalid pattern parser: {error.message}") from error


def check_stages(stages: Sequence[ast.Stage]) -> None:
    """Refuse stages that are told as one and cannot run: `stage '<text>' : <reason>`."""
    try:
        for stage in stages:
            _check(stage)
    except AppError as error:
        text = " ".join(format_stage(stage) for stage in stages)
        raise LogQLValidationError(f"stage '{text}' : {error.message}") from error


def _check(stage: ast.Stage) -> None:
    match stage:
        case ast.LineFilter():
            for operand in stage.operands:
                _check_line_operand(stage.op, operand)
        case ast.LabelFilterStage():
            _check_filter(stage.filter)
        case ast.JsonParser():
            for item in stage.extractions:
                parse_json_path(item.expression)
        case ast.LogfmtParser():
            for item in stage.extractions:
                check_logfmt_key(item.expression)
        case ast.LineFormat():
            if stage.parsed is None:
                _refuse_template("line", "line template", stage.template)
        case ast.LabelFormat():
            _check_label_format(stage)
        case _:
            return


def _check_line_operand(op: ast.LineOp, operand: ast.LineOperand) -> None:
    if operand.is_ip:
        if op not in _POSITIVE_IP:
            raise _RuleError("ip: invalid operation")
        compile_ip(operand.value)
    elif op in (ast.LineOp.MATCHES, ast.LineOp.NOT_MATCHES):
        compile_regex(operand.value)
    elif op in (ast.LineOp.PATTERN, ast.LineOp.NOT_PATTERN):
        compile_filter_pattern(operand.value)


def _check_filter(found: ast.LabelFilter) -> None:
    if isinstance(found, ast.AndFilter | ast.OrFilter):
        _check_filter(found.left)
        _check_filter(found.right)
    elif isinstance(found, ast.IpFilter):
        compile_ip(found.pattern)


def _check_label_format(stage: ast.LabelFormat) -> None:
    seen: set[str] = set()
    for item in stage.items:
        if item.name == ERROR_LABEL:
            raise _RuleError(f"{item.name} cannot be formatted")
        if item.name in seen:
            message = f"multiple label name '{item.name}' not allowed in a single format operation"
            raise _RuleError(message)
        seen.add(item.name)
    for item in stage.items:
        if not item.is_rename and item.parsed is None:
            _refuse_template("label", f"template for label '{item.name}'", item.value)


def _refuse_template(name: str, what: str, text: str) -> None:
    """Say what is wrong with a template that does not parse."""
    try:
        parse_template(text, name)
    except AppError as error:
        raise _RuleError(f"invalid {what}: {error.message}") from error
