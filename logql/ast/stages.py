"""What happens to a line? The stages of a pipeline (reference/logql.md §2, §5-§8)."""

from dataclasses import dataclass, field
from enum import Enum

from logql.ast.base import Span, span_field
from logql.ast.selectors import Selector
from narfi.core.errors import AppError
from narfi.core.matchers import Matcher
from narfi.core.text.template.parser import Template, parse_template


class LineOp(Enum):
    """Line filter operators, by their text."""

    CONTAINS = "|="
    NOT_CONTAINS = "!="
    MATCHES = "|~"
    NOT_MATCHES = "!~"
    PATTERN = "|>"
    NOT_PATTERN = "!>"


NEGATIVE_LINE_OPS = (LineOp.NOT_CONTAINS, LineOp.NOT_MATCHES, LineOp.NOT_PATTERN)


class CompareOp(Enum):
    """Comparisons of label filters; `=` and `==` are the same."""

    EQ = "=="
    NE = "!="
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="


@dataclass(frozen=True, slots=True)
class LineOperand:
    """A text, or the argument of `ip(...)`."""

    value: str
    is_ip: bool = False


@dataclass(frozen=True, slots=True)
class LineFilter:
    """One operator with its `or` chain: any of the operands.

    The parser gives negative operators one operand each: `!= "a" or "b"` is `!= "a" != "b"`.
    """

    op: LineOp
    operands: tuple[LineOperand, ...]
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class Extraction:
    """`name="expression"`; `bare` when only the name was written."""

    name: str
    expression: str
    bare: bool = False


@dataclass(frozen=True, slots=True)
class JsonParser:
    """`| json [a="path", …]`; no extractions: every field."""

    extractions: tuple[Extraction, ...] = ()
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class LogfmtParser:
    """`| logfmt [--strict] [--keep-empty] [a="key", …]`."""

    strict: bool = False
    keep_empty: bool = False
    extractions: tuple[Extraction, ...] = ()
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class RegexpParser:
    """`| regexp "…"`."""

    pattern: str
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class PatternParser:
    """`| pattern "…"`."""

    pattern: str
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class Unpack:
    """`| unpack`."""

    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class StringLabelFilter:
    """`name op "text"`."""

    matcher: Matcher
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class NumberFilter:
    """`name op 1.5`."""

    name: str
    op: CompareOp
    value: float
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class DurationFilter:
    """`name op 5m`; the value in ns."""

    name: str
    op: CompareOp
    value_ns: int
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class BytesFilter:
    """`name op 5KB`; the value in bytes."""

    name: str
    op: CompareOp
    value: int
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class IpFilter:
    """`name = ip("…")`, or `!=` when negated."""

    name: str
    pattern: str
    negated: bool
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class AndFilter:
    """Both; written as `and`, a comma or side by side (all print alike)."""

    left: "LabelFilter"
    right: "LabelFilter"
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class OrFilter:
    """Either; the right side is not looked at when the left holds."""

    left: "LabelFilter"
    right: "LabelFilter"
    span: Span = span_field()


LabelFilter = (
    StringLabelFilter
    | NumberFilter
    | DurationFilter
    | BytesFilter
    | IpFilter
    | AndFilter
    | OrFilter
)


@dataclass(frozen=True, slots=True)
class LabelFilterStage:
    """`| <label filter>`."""

    filter: LabelFilter
    span: Span = span_field()


def _parsed(text: str, name: str) -> Template | None:
    try:
        return parse_template(text, name)
    except AppError:
        return None


@dataclass(frozen=True, slots=True)
class LineFormat:
    """`| line_format "template"`; `parsed` is None when it does not parse (stage_rules.py)."""

    template: str
    parsed: Template | None = field(init=False, compare=False, repr=False)
    span: Span = span_field()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parsed", _parsed(self.template, "line"))


@dataclass(frozen=True, slots=True)
class LabelFormatItem:
    """`name=source` (rename) or `name="template"`, which is parsed as that of `LineFormat`."""

    name: str
    value: str
    is_rename: bool
    parsed: Template | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        found = None if self.is_rename else _parsed(self.value, "label")
        object.__setattr__(self, "parsed", found)


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """`| label_format a=b, c="…"`."""

    items: tuple[LabelFormatItem, ...]
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class Decolorize:
    """`| decolorize`."""

    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class NamedLabel:
    """An item of drop or keep: a name, with a condition on its value when there is a matcher."""

    name: str
    matcher: Matcher | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """`| drop a, b="x"`."""

    items: tuple[NamedLabel, ...]
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class Keep:
    """`| keep a, b="x"`."""

    items: tuple[NamedLabel, ...]
    span: Span = span_field()


Stage = (
    LineFilter
    | JsonParser
    | LogfmtParser
    | RegexpParser
    | PatternParser
    | Unpack
    | LabelFilterStage
    | LineFormat
    | LabelFormat
    | Decolorize
    | Drop
    | Keep
)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A selector with its pipeline."""

    selector: Selector
    stages: tuple[Stage, ...] = ()
    span: Span = span_field()
