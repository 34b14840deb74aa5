"""What does a shape print? Constant bytes with typed holes between them.

The text of row r is `constants[0] + hole 0 of r + constants[1] + … + constants[n]`. A `Hole` has a
*stamp*: which bytes occur in it and how long it is, so that most questions are answered without its
values. Invariant: the inner constants are not empty, so two holes never touch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from narfi.core.kernels.shape_values import CLASS_OF


class LineKind(StrEnum):
    """How a program printed the line."""

    JSON = "json"
    LOGFMT = "logfmt"
    TEXT = "text"


class HoleKind(StrEnum):
    """How the values of a hole are stored."""

    WORDS = "words"
    """Few distinct texts: a dictionary."""
    BYTES = "bytes"
    """Anything."""
    NUMBER = "number"
    """Decimal numbers as integers of `scale` decimals."""
    HEX = "hex"
    """Lower-case hex digits at fixed places (`layout`), as bytes."""
    IPV4 = "ipv4"
    """Dotted addresses, as integers."""
    TIME = "time"
    """Times in a fixed form (`layout`), as integers since the epoch."""


class Role(StrEnum):
    """What surrounds a hole, as far as parsers care."""

    STRING = "string"
    LITERAL = "literal"
    ARRAY = "array"
    VALUE = "value"
    QUOTED = "quoted"
    WORD = "word"
    PART = "part"  # of a string, value or word that was cut again


@dataclass(frozen=True, slots=True, kw_only=True)
class HoleType:
    """How values print. NUMBER: `scale` decimals are stored, trailing zeros beyond `least` decimals
    are not printed, `width` digits at least stand before the point."""

    kind: HoleKind
    scale: int = 0
    least: int = 0
    width: int = 1
    layout: bytes = b""

    @property
    def time_factor(self) -> int:
        """TIME: stored units a second."""
        return int(10 ** self.layout.count(b"f"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """One hole with its stamp: `classes` is the OR of the bytes' classes, lengths are in bytes."""

    name: str
    type: HoleType
    role: Role
    classes: int
    min_length: int
    max_length: int

    def may_hold(self, text: bytes) -> bool:
        """Whether some value could contain the text, by the stamp."""
        if len(text) > self.max_length or classes_of(text) & ~self.classes:
            return False
        if self.type.kind is HoleKind.TIME:
            return fits_layout(text, self.type.layout)
        return longest_digits(text) <= self.longest_digits

    @property
    def longest_digits(self) -> int:
        """No value has more digits side by side."""
        kind = self.type
        if kind.kind is HoleKind.IPV4:
            return 3
        if kind.kind is HoleKind.NUMBER and kind.least:
            return max(self.max_length - 1 - kind.least, kind.scale)
        return self.max_length

    def may_be(self, text: bytes) -> bool:
        """Whether some value could be the text, by the stamp."""
        return self.min_length <= len(text) and self.may_hold(text)


@dataclass(frozen=True)
class Template:
    """Constants and holes of one shape; `constants` has one place more than `holes`."""

    kind: LineKind
    constants: tuple[bytes, ...]
    holes: tuple[Hole, ...]

    def __post_init__(self) -> None:
        assert len(self.constants) == len(self.holes) + 1
        assert all(self.constants[1:-1]), "two holes never touch"

    @property
    def constant_bytes(self) -> int:
        """Bytes that every line has."""
        return sum(len(constant) for constant in self.constants)

    def text(self) -> str:
        """For people: holes as `<name>`."""
        parts = [self.constants[0].decode("utf-8", "replace")]
        for hole, constant in zip(self.holes, self.constants[1:], strict=True):
            parts.append(f"<{hole.name}>{constant.decode('utf-8', 'replace')}")
        return "".join(parts)

    @cached_property
    def pieces(self) -> tuple[bytes | int, ...]:
        """Constants that are not empty, and numbers of holes, in order."""
        found: list[bytes | int] = []
        for number, constant in enumerate(self.constants):
            if constant:
                found.append(constant)
            if number < len(self.holes):
                found.append(number)
        return tuple(found)

    @cached_property
    def remembered(self) -> dict[object, Any]:
        """What was found out about the template, by question; lives as long as it does."""
        return {}

    def cut_key(self) -> tuple[Any, ...]:
        """Equal for shapes of which the columns can be put one behind the other."""
        return (
            self.kind,
            self.constants,
            tuple((hole.name, hole.type, hole.role) for hole in self.holes),
        )

    def joined(self, other: "Template") -> "Template":
        """The template of the rows of both; their `cut_key` must be equal."""
        assert self.cut_key() == other.cut_key()
        holes = [
            replace(
                a,
                classes=a.classes | b.classes,
                min_length=min(a.min_length, b.min_length),
                max_length=max(a.max_length, b.max_length),
            )
            for a, b in zip(self.holes, other.holes, strict=True)
        ]
        return replace(self, holes=tuple(holes))


_DIGIT_MARKS = frozenset(b"YMDhmsf")
_MONTH_LETTERS = frozenset(b"JanFebMarAprMayJunJulAugSepOctNovDec")
_DIGITS = re.compile(rb"[0-9]+")


@lru_cache(4096)
def fits_layout(text: bytes, layout: bytes) -> bool:
    """Whether the text could stand somewhere in a time of the layout."""

    def accepts(mark: int, byte: int) -> bool:
        if mark in _DIGIT_MARKS:
            return 48 <= byte <= 57
        return byte in _MONTH_LETTERS if mark == ord("b") else byte == mark

    return any(
        all(accepts(mark, byte) for mark, byte in zip(layout[first:], text, strict=False))
        for first in range(len(layout) - len(text) + 1)
    )


@lru_cache(4096)
def longest_digits(text: bytes) -> int:
    """The length of the longest run of digits."""
    return max(map(len, _DIGITS.findall(text)), default=0)


@lru_cache(4096)
def classes_of(text: bytes) -> int:
    """The OR of the classes of the bytes."""
    if not text:
        return 0
    return int(np.bitwise_or.reduce(CLASS_OF[np.frombuffer(text, np.uint8)]))


def to_json(template: Template) -> dict[str, Any]:
    """For the footer; bytes are written as the characters U+0000 to U+00FF."""
    return {
        "kind": template.kind.value,
        "constants": [constant.decode("latin-1") for constant in template.constants],
        "holes": [
            {
                "name": hole.name,
                "kind": hole.type.kind.value,
                "scale": hole.type.scale,
                "least": hole.type.least,
                "width": hole.type.width,
                "layout": hole.type.layout.decode("latin-1"),
                "role": hole.role.value,
                "classes": hole.classes,
                "min_length": hole.min_length,
                "max_length": hole.max_length,
            }
            for hole in template.holes
        ],
    }


def from_json(content: Mapping[str, Any]) -> Template:
    """The template of a footer."""
    holes: Sequence[Mapping[str, Any]] = content["holes"]
    return Template(
        LineKind(content["kind"]),
        tuple(constant.encode("latin-1") for constant in content["constants"]),
        tuple(
            Hole(
                name=hole["name"],
                type=HoleType(
                    kind=HoleKind(hole["kind"]),
                    scale=hole["scale"],
                    least=hole["least"],
                    width=hole["width"],
                    layout=hole["layout"].encode("latin-1"),
                ),
                role=Role(hole["role"]),
                classes=hole["classes"],
                min_length=hole["min_length"],
                max_length=hole["max_length"],
            )
            for hole in holes
        ),
    )
