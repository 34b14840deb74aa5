"""Can a rule be used? Loki's checks, in its order and words: the first failure of a rule is told.

Group labels are honoured here, so their names are checked too.
"""

from collections.abc import Iterable

from logql.parser import parse
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.labels import quote
from narfi.core.tenant import check_tenant
from ruler.group import Group, Rule
from ruler.sample_lines import MOST
from ruler.templates import check_template
from storage.catalog.rules import MAX_NAME

NO_NAME = "Groupname must not be empty"
LATE_ERROR = "parse error : stage "
"""Begins what is told of a stage that cannot be made; that is found at the evaluation."""


class InvalidGroupError(InvalidRequestError):
    """The group cannot be used; all reasons in one text."""


def check_group(group: Group) -> None:
    """Raises `InvalidGroupError` with one error a rule."""
    found = [f"group 0: {NO_NAME}"] if not group.name else []
    found += group_errors(group)
    found += [text for rule in group.rules if (text := rule_error(rule, group.name))]
    if found:
        raise InvalidGroupError(", ".join(found))


def group_errors(group: Group) -> list[str]:
    """What is wrong with the group itself, but for a missing name."""
    found = [f"invalid label name: {name}" for name in group.labels if not _is_label(name)]
    for tenant in group.source_tenants:
        try:
            check_tenant(tenant)
        except AppError as error:
            found.append(f"source_tenants: {error.message}")
    wrong = name_error(group.name, "group")
    return found if wrong is None else [*found, wrong]


def name_error(name: str, what: str) -> str | None:
    """Why a name of a group or namespace cannot be kept."""
    if "\0" in name:
        return f"the name of a {what} cannot hold a zero byte"
    if len(name.encode()) > MAX_NAME:
        return f"the name of a {what} has more than {MAX_NAME} bytes"
    return None


def rule_error(rule: Rule, group: str) -> str | None:
    """The first thing that is wrong with a rule."""
    if rule.record and rule.alert:
        return "only one of 'record' and 'alert' must be set"
    if not rule.name:
        return "one of 'record' or 'alert' must be set"
    if not rule.expr:
        return "field 'expr' must be set in rule"
    try:
        parse(rule.expr)
    except AppError as error:
        if not error.message.startswith(LATE_ERROR):
            kind = "record" if rule.record else "alert"
            return (
                f"could not parse expression for {kind} '{rule.name}' in group '{group}': "
                f"{error.message}"
            )
    if rule.record:
        wrong = _recording_error(rule)
        if wrong:
            return wrong
    if not 0 <= rule.sample_lines <= MOST:
        return f"invalid value {rule.sample_lines} of 'sample_lines': at most {MOST}"
    return _names_error(rule) or (_template_error(rule) if rule.alert else None)


def _recording_error(rule: Rule) -> str | None:
    if rule.annotations:
        return "invalid field 'annotations' in recording rule"
    if rule.for_ns:
        return "invalid field 'for' in recording rule"
    if rule.sample_lines:
        return "invalid field 'sample_lines' in recording rule"
    if not _is_name(rule.record, ":"):
        return f"invalid recording rule name: {rule.record}"
    return None


def _names_error(rule: Rule) -> str | None:
    for name in rule.labels:
        if not _is_label(name):
            return f"invalid label name: {name}"
    for name in rule.annotations:
        if not _is_name(name):
            return f"invalid annotation name: {name}"
    return None


def _template_error(rule: Rule) -> str | None:
    return _first_error(rule.alert, "label", rule.labels.items()) or _first_error(
        rule.alert, "annotation", rule.annotations.items()
    )


def _first_error(alert: str, what: str, pairs: Iterable[tuple[str, str]]) -> str | None:
    for name, text in pairs:
        try:
            check_template(text, alert)
        except AppError as error:
            return f"{what} {quote(name)}: {error.message}"
    return None


def _is_label(name: str) -> bool:
    return _is_name(name) and name != "__name__"


def _is_name(name: str, more: str = "") -> bool:
    """A letter or `_`, then digits too."""
    letters = all(c in more or c == "_" or (c.isascii() and c.isalnum()) for c in name)
    return bool(name) and letters and not name[0].isdigit()
