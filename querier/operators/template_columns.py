"""Which templates need no look at a row? Those of texts, labels, the line, `repeat` and `len`.

They become `Texts` over whole columns: lengths at once, bytes only when somebody reads them, and no
Python object for a row. Rows that come near a bound of what a template may make are left to the one
that goes row by row, which knows the errors.
Invariant: what is answered equals `render.execute` (tests/querier/operators/test_templates.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from narfi.core.columns import Mask
from narfi.core.label_column import CodedColumn
from narfi.core.text.template import nodes as n
from narfi.core.text.template.bounds import MAX_TEXT
from narfi.core.text.template.parser import Template
from narfi.core.text.template.render import MAX_OUTPUT
from narfi.core.text.template.values import to_bytes
from querier.operators.frame import Frame
from storage.lines.composed import Constant, LineTexts, Repeated, joined
from storage.lines.holes import BytesColumn, IntegerColumn
from storage.lines.template import HoleKind, HoleType
from storage.lines.texts import Texts

MOST_PARTS = 16
"""So few cannot take too many steps: each gives `MAX_TEXT` characters at most."""

DECIMAL = HoleType(kind=HoleKind.NUMBER)


@dataclass(frozen=True, slots=True)
class _Label:
    name: str


@dataclass(frozen=True, slots=True)
class _Line:
    pass


@dataclass(frozen=True, slots=True)
class _Repeat:
    times: int
    part: "_Part"


@dataclass(frozen=True, slots=True)
class _Length:
    part: "_Part"


_Part = bytes | _Label | _Line | _Repeat | _Length


@dataclass(frozen=True, slots=True)
class ColumnTemplate:
    """A template as parts that stand one behind the other."""

    parts: tuple[_Part, ...]

    @staticmethod
    def of(template: Template) -> "ColumnTemplate | None":
        """None where rows have to be looked at."""
        parts = [_part_of(node) for node in template.nodes]
        known = tuple(part for part in parts if part is not None)
        if len(known) < len(parts) or sum(map(_size, known)) > MOST_PARTS:
            return None
        return ColumnTemplate(known or (b"",))

    def texts(self, frame: Frame) -> tuple[Texts, Mask]:
        """(the text of each row, where it is not to be trusted since it may be too long)."""
        made = _Made(frame)
        parts = [made.texts(part) for part in self.parts]
        size = np.zeros(len(frame), np.int64)
        for part in parts:
            size += part.lengths()
        return joined(parts), made.too_long | (size > MAX_OUTPUT)


class _Made:
    """Texts of one frame, and in which rows one of them is too long."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.too_long: Mask = np.zeros(len(frame), np.bool_)

    def texts(self, part: _Part) -> Texts:
        frame = self._frame
        match part:
            case bytes():
                return Constant(part, len(frame))
            case _Line():
                return LineTexts(frame.lines)
            case _Label():
                empty = CodedColumn.constant(b"", len(frame))
                return BytesColumn(frame.shown(part.name).over(empty).spans)
            case _Length():
                return IntegerColumn(self.texts(part.part).lengths().astype(np.int64), DECIMAL)
            case _Repeat():
                inner = self.texts(part.part)
                size = inner.lengths().astype(np.int64) * part.times
                self.too_long |= size > MAX_TEXT
                return Repeated(inner, part.times)


def _part_of(node: n.Node) -> _Part | None:
    match node:
        case n.Text():
            return to_bytes(node.value)
        case n.Action(n.Pipe(_, commands, ())):
            return _result(commands)
        case _:
            return None


def _result(commands: Sequence[n.Command]) -> _Part | None:
    """What comes out of a pipe: each command takes the result before it as its last argument."""
    found = _called(commands[0].args, None)
    for command in commands[1:]:
        if found is None or not isinstance(command.args[0], n.Name):
            return None
        found = _called(command.args, found)
    return found


def _called(args: Sequence[n.Operand], last: _Part | None) -> _Part | None:
    """A value without arguments, or a function with the right ones."""
    values = [_value(arg) for arg in args[1:]]
    given = values if last is None else [*values, last]
    match args[0], given:
        case n.Name(_, "repeat"), [int(times), part] if _is_text(part) and times <= MAX_TEXT:
            return _Repeat(times, part)
        case n.Name(_, "len"), [part] if _is_text(part):
            return _Length(part)
        case n.Name(_, "repeat" | "len"), _:
            return None
        case operand, []:
            found = _value(operand)
            return None if isinstance(found, int) else found
        case _:
            return None


def _value(operand: n.Operand) -> _Part | int | None:
    """A part, or a number that is not negative."""
    match operand:
        case n.Name(_, "__line__"):
            return _Line()
        case n.Field(_, (name,)):
            return _Label(name)
        case n.Constant(_, str(text)):
            return to_bytes(text)
        case n.NumberConstant():
            times = operand.number.integer
            return times if times is not None and times >= 0 else None
        case n.Pipe(_, commands, ()):
            return _result(commands)
        case _:
            return None


def _is_text(part: object) -> TypeGuard[_Part]:
    return isinstance(part, bytes | _Label | _Line | _Repeat)


def _size(part: _Part) -> int:
    """How many there are within."""
    return 1 + (_size(part.part) if isinstance(part, _Repeat | _Length) else 0)
