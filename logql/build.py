"""How does a parse tree become our tree? Lists are folded by precedence, literals computed.

Two kinds of mistakes are found here. A regex, a pattern or a number that means nothing is refused
as soon as it has been read (`refuse_node`), before a mistake behind it. Functions and operators
with wrong arguments are only noted (`wrong`): the whole text has to be grammatical before one of
them is told, and then the outermost and leftmost (`validate.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lark

from logql import ast
from logql.errors import LogQLValidationError
from logql.functions import range_mistake, vector_mistake, vector_parameter
from logql.lexer import Word
from logql.numbers import Number
from logql.operators import leg_mistake, operation, precedence
from logql.stage_rules import check_pattern_parser, check_regexp_parser
from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.regex import compile_anchored, compile_regex

_MATCH_OPS = {"EQ": MatchOp.EQ, "NEQ": MatchOp.NE, "RE": MatchOp.RE, "NRE": MatchOp.NRE}
_COMPARE = {"=": ast.CompareOp.EQ} | {op.value: op for op in ast.CompareOp}
_RIGHT_ASSOCIATIVE = "^"
_REFUSABLE = frozenset(("matcher", "regexp", "pattern", "literal", "unit"))
_JOINTS = ("filter_side", "filter_comma", "filter_and", "filter_or")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """A part of a query with wrong arguments; they are told in the order of their places."""

    start: int
    """The character at which the part begins."""
    is_inner: bool
    """False for a binary operation, which begins where its left operand does."""
    minus_end: int
    text: str


class Builder:
    """Builds one query; `words` are indexed by the tokens' positions, and grow while it is read."""

    def __init__(self, words: list[Word]) -> None:
        self._words = words
        self.wrong: list[Mistake] = []

    def expr(self, tree: Any) -> ast.Expr:
        """The tree of a whole query."""
        return self._node(tree.children[0])

    def refuse_node(self, tree: Any) -> None:
        """Raise when a node that has just been read can mean nothing at all."""
        if not isinstance(tree, lark.Tree) or tree.data not in _REFUSABLE:
            return
        parts: list[Any] = tree.children
        kind = str(tree.data)  # a token compares itself slowly
        if kind == "matcher":
            if parts[1].type in ("RE", "NRE"):
                _refusing(lambda: compile_anchored(self._text(parts[2])))
        elif kind == "regexp":
            check_regexp_parser(self._text(parts[1]))
        elif kind == "pattern":
            check_pattern_parser(self._text(parts[1]))
        elif parts[-1].type == "NUMBER":
            wrong = self._written(parts[-1]).wrong_value
            if wrong:
                raise LogQLValidationError(f"unable to parse literal as a float: {wrong}")

    def _note(self, tree: Any, mistake: str | None, *, is_inner: bool = True) -> bool:
        """Note what is wrong with a part, and tell whether anything is."""
        if mistake is not None:
            first, last = self._word(_edge(tree, 0)), self._word(_edge(tree, -1))
            self.wrong.append(Mistake(first.start, is_inner, -last.end, mistake))
        return mistake is not None

    def _word(self, token: lark.Token) -> Word:
        assert token.start_pos is not None
        return self._words[token.start_pos]

    def _text(self, token: lark.Token) -> str:
        return str(self._word(token).value)

    def _written(self, token: lark.Token) -> Number:
        number = self._word(token).value
        assert isinstance(number, Number)
        return number

    def _integer(self, token: lark.Token) -> int:
        value = self._word(token).value
        assert isinstance(value, int)
        return value

    def _node(self, tree: Any) -> ast.Expr:
        kinds: dict[str, Callable[[Any], ast.Expr]] = {
            "binary_operation": self._binary_list,
            "parenthesised": lambda found: self._node(found.children[1]),
            "log_query": self._log_query,
            "range_aggregation": self._range_aggregation,
            "vector_aggregation": self._vector_aggregation,
            "literal": lambda found: ast.Literal(self._signed(found.children)),
            "vector": self._vector,
            "label_replace": self._label_replace,
        }
        return kinds[tree.data](tree)

    def _signed(self, tokens: list[lark.Token]) -> float:
        value = self._written(tokens[-1]).value
        return -value if len(tokens) > 1 and tokens[0].type == "SUB" else value

    def _vector(self, tree: Any) -> ast.VectorLiteral:
        number = self._written(tree.children[2])
        if number.wrong_value:
            self._note(tree, f"unable to parse vectorExpr as a float: {number.wrong_value}")
        return ast.VectorLiteral(number.value)

    def _binary_list(self, tree: Any) -> ast.Expr:
        """Operands and operators in turn, folded by precedence."""
        parts: list[Any] = []
        while tree.data == "binary_operation":
            parts += [tree.children[2], tree.children[1]]
            tree = tree.children[0]
        parts.append(tree)
        parts.reverse()
        operands = [_Leg(self._node(parts[0]), parts[0], parts[0])]
        operators: list[_Operator] = []

        def fold() -> None:
            found, right, left = operators.pop(), operands.pop(), operands.pop()
            wrong = leg_mistake(found.op, left.expr, right.expr)
            whole = lark.Tree("binary_operation", [left.first, right.last])
            if self._note(whole, wrong, is_inner=False):
                expr: ast.Expr = ast.VectorLiteral(0.0)  # it is refused in the end
            else:
                expr = operation(found.op, left.expr, right.expr, found.bool, found.matching)
            operands.append(_Leg(expr, left.first, right.last))

        for place in range(1, len(parts), 2):
            found = self._operator(parts[place])
            while operators and _binds_first(operators[-1].op, found.op):
                fold()
            operators.append(found)
            operands.append(_Leg(self._node(parts[place + 1]), parts[place + 1], parts[place + 1]))
        while operators:
            fold()
        return operands[0].expr

    def _operator(self, tree: Any) -> "_Operator":
        op = self._text(tree.children[0].children[0])
        rest = tree.children[1:]
        return_bool = bool(rest) and isinstance(rest[0], lark.Token)
        matching = None
        if rest and not isinstance(rest[-1], lark.Token):
            matching = self._matching(rest[-1])
        return _Operator(op, return_bool, matching)

    def _matching(self, tree: Any) -> ast.VectorMatching | None:
        on_ignoring = tree.children[0]
        on = on_ignoring.children[0].children[0].type == "ON"
        labels = self._labels(on_ignoring)
        group: str | None = None
        include: tuple[str, ...] = ()
        if len(tree.children) > 1:
            side = tree.children[1].children[0].type
            group = "left" if side == "GROUP_LEFT" else "right"
            include = self._labels(tree)
        if not on and not labels and group is None:
            return None
        return ast.VectorMatching(on, labels, group, include)

    def _labels(self, tree: Any) -> tuple[str, ...]:
        for child in tree.children:
            if not isinstance(child, lark.Token) and child.data == "labels":
                return tuple(self._text(token) for token in _flat(child, "labels"))
        return ()

    def _log_query(self, tree: Any) -> ast.LogQuery:
        selector = self._selector(tree.children[0])
        stages = self._pipeline(tree.children[1]) if len(tree.children) > 1 else ()
        return ast.LogQuery(selector, stages)

    def _selector(self, tree: Any) -> ast.Selector:
        first, last = self._word(tree.children[0]), self._word(tree.children[-1])
        found = _flat(tree.children[1], "matchers") if len(tree.children) > 2 else []
        matchers = tuple(self._matcher(matcher) for matcher in found)
        return ast.Selector(matchers, span=ast.Span(first.start, last.end))

    def _matcher(self, tree: Any) -> Matcher:
        name, op, value = tree.children
        return Matcher(self._text(name), _MATCH_OPS[op.type], self._text(value))

    def _pipeline(self, tree: Any) -> tuple[ast.Stage, ...]:
        stages: list[ast.Stage] = []
        for stage in _flat(tree, "pipeline"):
            if stage.data == "line_filter":
                stages += self._line_filters(stage)
            else:
                stages.append(self._stage(stage))
        return tuple(stages)

    def _stage(self, tree: Any) -> ast.Stage:
        kinds: dict[str, Callable[[Any], ast.Stage]] = {
            "piped": lambda found: self._parser(found.children[1]),
            "filtered": lambda found: ast.LabelFilterStage(self._filter(found.children[1])),
            "line_format": lambda found: ast.LineFormat(self._text(found.children[2])),
            "label_format": self._label_format,
            "decolorize": lambda _: ast.Decolorize(),
            "drop": lambda found: ast.Drop(self._named(found.children[2])),
            "keep": lambda found: ast.Keep(self._named(found.children[2])),
        }
        return kinds[tree.data](tree)

    def _line_filters(self, tree: Any) -> list[ast.LineFilter]:
        """A filter with its `or` chain; none of several is one filter after the other."""
        op = ast.LineOp(self._text(tree.children[0].children[0]))
        operands = [tree.children[1]]
        rest = tree.children[-1] if len(tree.children) > 2 else None
        while rest is not None:
            operands.append(rest.children[0])
            rest = rest.children[2] if len(rest.children) > 1 else None
        found = tuple(self._line_operand(operand) for operand in operands)
        if op in ast.NEGATIVE_LINE_OPS:
            return [ast.LineFilter(op, (operand,)) for operand in found]
        return [ast.LineFilter(op, found)]

    def _line_operand(self, tree: Any) -> ast.LineOperand:
        is_ip = len(tree.children) > 1
        return ast.LineOperand(self._text(tree.children[2 if is_ip else 0]), is_ip)

    def _parser(self, tree: Any) -> ast.Stage:
        kind, rest = tree.data, tree.children[1:]
        if kind == "regexp":
            return ast.RegexpParser(self._text(rest[0]))
        if kind == "pattern":
            return ast.PatternParser(self._text(rest[0]))
        if kind == "unpack":
            return ast.Unpack()
        flags: set[str] = set()
        extractions: tuple[ast.Extraction, ...] = ()
        for child in rest:
            if child.data == "flags":
                flags = {self._text(token) for token in _flat(child, "flags")}
            else:
                found = _flat(child, "extractions")
                extractions = tuple(self._extraction(item) for item in found)
        if kind == "json":
            return ast.JsonParser(extractions)
        return ast.LogfmtParser("--strict" in flags, "--keep-empty" in flags, extractions)

    def _extraction(self, tree: Any) -> ast.Extraction:
        name = self._text(tree.children[0])
        if len(tree.children) == 1:
            return ast.Extraction(name, name)
        return ast.Extraction(name, self._text(tree.children[2]))

    def _filter(self, tree: Any) -> ast.LabelFilter:
        """A list of filters joined by words; `and` binds tighter than `or`, a comma and a space
        take everything to their right first (reference/logql.md §2.2)."""
        filters: list[ast.LabelFilter] = []
        joints: list[str] = []
        while tree.data in _JOINTS:
            filters.append(self._filter_unit(tree.children[-1]))
            joints.append(tree.data)
            tree = tree.children[0]
        filters.append(self._filter_unit(tree))
        return _join(filters[::-1], joints[::-1])

    def _filter_unit(self, tree: Any) -> ast.LabelFilter:
        if tree.data == "filter_group":
            return self._filter(tree.children[1])
        if tree.data == "string_filter":
            return ast.StringLabelFilter(self._matcher(tree.children[0]))
        name = self._text(tree.children[0])
        if tree.data == "ip_filter":
            pattern = self._text(tree.children[2].children[2])
            return ast.IpFilter(name, pattern, negated=tree.children[1].type == "NEQ")
        op = _COMPARE[self._text(tree.children[1].children[0])]
        tokens = tree.children[2].children
        if tokens[-1].type == "DURATION":
            return ast.DurationFilter(name, op, self._integer(tokens[0]))
        if tokens[-1].type == "BYTES":
            return ast.BytesFilter(name, op, self._integer(tokens[0]))
        return ast.NumberFilter(name, op, self._signed(tokens))

    def _label_format(self, tree: Any) -> ast.LabelFormat:
        items = []
        for item in _flat(tree.children[2], "label_formats"):
            name, _, value = item.children
            renames = value.type == "IDENTIFIER"
            items.append(ast.LabelFormatItem(self._text(name), self._text(value), renames))
        return ast.LabelFormat(tuple(items))

    def _named(self, tree: Any) -> tuple[ast.NamedLabel, ...]:
        found = []
        for item in _flat(tree, "named_labels"):
            child = item.children[0]
            if isinstance(child, lark.Token):
                found.append(ast.NamedLabel(self._text(child)))
            else:
                matcher = self._matcher(child)
                found.append(ast.NamedLabel(matcher.name, matcher))
        return tuple(found)

    def _range_aggregation(self, tree: Any) -> ast.RangeAggregation:
        parameter: Number | None = None
        grouping: ast.Grouping | None = None
        log_range: Any = None
        for child in tree.children[2:]:
            if isinstance(child, lark.Token):
                if child.type == "NUMBER":
                    parameter = self._written(child)
            elif child.data == "grouping":
                grouping = self._grouping(child)
            else:
                log_range = child
        value = None if parameter is None else parameter.value
        op = self._text(tree.children[0])
        found = ast.RangeAggregation(
            op=op, log_range=self._log_range(log_range), parameter=value, grouping=grouping
        )
        self._note(tree, range_mistake(found, parameter))
        return found

    def _log_range(self, tree: Any) -> ast.LogRange:
        if tree.data == "grouped_range":
            return self._log_range(tree.children[1])
        stages: tuple[ast.Stage, ...] = ()
        unwrap: ast.Unwrap | None = None
        range_ns = offset_ns = 0
        selector: Any = None
        pending = list(tree.children)
        while pending:
            child = pending.pop(0)
            if isinstance(child, lark.Token):
                if child.type == "RANGE":
                    range_ns = self._integer(child)
            elif child.data == "selector":
                selector = self._selector(child)
            elif child.data == "pipeline":
                stages = self._pipeline(child)
            elif child.data == "offset":
                offset_ns = self._integer(child.children[1])
            else:
                unwrap = self._unwrap(child)
        return ast.LogRange(
            query=ast.LogQuery(selector, stages),
            range_ns=range_ns,
            offset_ns=offset_ns,
            unwrap=unwrap,
        )

    def _unwrap(self, tree: Any) -> ast.Unwrap:
        filters: list[ast.LabelFilter] = []
        while tree.data == "unwrap_filter":
            filters.insert(0, self._filter(tree.children[2]))
            tree = tree.children[0]
        if len(tree.children) == 3:
            return ast.Unwrap(self._text(tree.children[2]), post_filters=tuple(filters))
        conversion = ast.Conversion(self._text(tree.children[2].children[0]))
        return ast.Unwrap(self._text(tree.children[4]), conversion, tuple(filters))

    def _vector_aggregation(self, tree: Any) -> ast.VectorAggregation:
        op = self._text(tree.children[0])
        grouping, arguments = None, tree.children[1]
        for child in tree.children[1:]:
            if child.data == "grouping":
                grouping = self._grouping(child)
            else:
                arguments = child
        parameter = None
        if len(arguments.children) == 5:
            parameter = self._written(arguments.children[1]).text
        inner = self._metric(arguments.children[-2])
        self._note(tree, vector_mistake(op, parameter, grouping))
        if grouping is not None and not grouping.labels and not grouping.without:
            grouping = None
        return ast.VectorAggregation(
            op=op, expr=inner, parameter=vector_parameter(parameter), grouping=grouping
        )

    def _metric(self, tree: Any) -> ast.MetricExpr:
        found = self._node(tree)
        assert not isinstance(found, ast.LogQuery), "the grammar takes none here"
        return found

    def _grouping(self, tree: Any) -> ast.Grouping:
        without = tree.children[0].children[0].type == "WITHOUT"
        return ast.Grouping(self._labels(tree), without)

    def _label_replace(self, tree: Any) -> ast.LabelReplace:
        inner = self._metric(tree.children[2])
        destination, replacement, source, regex = (
            self._text(tree.children[place]) for place in (4, 6, 8, 10)
        )
        try:
            compile_regex(f"^(?:{regex})$")
        except AppError as error:
            self._note(tree, f"invalid regex in label_replace: {error.message}")
        return ast.LabelReplace(
            expr=inner, destination=destination, replacement=replacement, source=source, regex=regex
        )


@dataclass(frozen=True, slots=True)
class _Leg:
    """An operand, with the trees that it begins and ends with."""

    expr: ast.Expr
    first: Any
    last: Any


class _Operator:
    """A binary operator with its modifiers, as written between two operands."""

    __slots__ = ("bool", "matching", "op")

    def __init__(self, op: str, return_bool: bool, matching: ast.VectorMatching | None) -> None:
        self.op, self.bool, self.matching = op, return_bool, matching


def _binds_first(left: str, right: str) -> bool:
    """Whether the operator on the left takes the operand between them."""
    if precedence(left) == precedence(right):
        return left != _RIGHT_ASSOCIATIVE
    return precedence(left) > precedence(right)


def _edge(tree: Any, which: int) -> lark.Token:
    """The first or the last token of a tree."""
    while not isinstance(tree, lark.Token):
        tree = tree.children[which]
    return tree


def _flat(tree: Any, name: str) -> list[Any]:
    """The items of a left-recursive list, without commas."""
    items: list[Any] = []
    while True:
        items.extend(
            child
            for child in reversed(tree.children)
            if not (isinstance(child, lark.Token) and child.type == "COMMA")
            and not (not isinstance(child, lark.Token) and child.data == name)
        )
        first = tree.children[0]
        if isinstance(first, lark.Token) or first.data != name:
            return items[::-1]
        tree = first


def _join(filters: list[ast.LabelFilter], joints: list[str]) -> ast.LabelFilter:
    """Fold a list of filters by the precedence of the words between them."""
    for place, joint in enumerate(joints):
        if joint in ("filter_comma", "filter_side"):
            # what stands left of it is folded by `and` and `or`; everything right goes first
            return _before(
                filters[: place + 1],
                joints[:place],
                _join(filters[place + 1 :], joints[place + 1 :]),
            )
    return _and_or(filters, joints)


def _before(
    filters: list[ast.LabelFilter], joints: list[str], right: ast.LabelFilter
) -> ast.LabelFilter:
    """`a or b and c, rest`: the last of the left filters takes the rest with it."""
    return _and_or([*filters[:-1], ast.AndFilter(filters[-1], right)], joints)


def _and_or(filters: list[ast.LabelFilter], joints: list[str]) -> ast.LabelFilter:
    groups = [filters[0]]
    for joint, found in zip(joints, filters[1:], strict=True):
        if joint == "filter_and":
            groups[-1] = ast.AndFilter(groups[-1], found)
        else:
            groups.append(found)
    result = groups[0]
    for found in groups[1:]:
        result = ast.OrFilter(result, found)
    return result


def _refusing(check: Callable[[], object]) -> None:
    try:
        check()
    except AppError as error:
        raise LogQLValidationError(error.message) from error
