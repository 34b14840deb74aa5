"""Which type has a hole? The narrowest of which every value prints back to its bytes.

A hole may turn out to be constant, or to be several: what all values begin and end with moves into
the constants, and values that are all cut alike (`/users/17/cart`) become several holes.
Invariant: constants and columns of a `Part`, put together again, are the values, byte for byte.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64, Spans
from narfi.core.kernels import shape_values as sv
from narfi.core.label_column import SpansColumn
from storage.block.shapes.cut import cut
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import Hole, HoleKind, HoleType, Role

FEW_WORDS = 256
"""So few distinct texts are a dictionary, whatever they look like."""
MAX_WORDS = 8192
"""Distinct texts of a dictionary; more are cheaper as texts."""
WORDS_SHARE = 4
"""A dictionary needs so many rows for each word."""
SAMPLE_ROWS = 2048
MAX_DIGITS = 18
"""Digits that surely fit an int64."""
MAX_PARTS = 16
"""Holes that one value may be cut into."""
MIN_HEX = 8
"""Shorter hex texts gain nothing over a dictionary or text."""

_ISO_TIME = re.compile(
    rb"\d{4}([-/])\d\d\1\d\d[T ]\d\d:\d\d:\d\d([.,](\d{9}|\d{6}|\d{3}))?(Z|[+-]\d\d:?\d\d)?"
)
_CLF_TIME = re.compile(rb"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d( [+-]\d{4})?")
_HEX_CLASSES = sv.DIGIT | sv.HEX_LOWER | sv.MINUS
_CUTTABLE = (Role.STRING, Role.VALUE, Role.QUOTED, Role.WORD)


@dataclass(frozen=True, slots=True)
class WordLimits:
    """Which texts become a dictionary: at most `most` words, each in `share` rows on average."""

    most: int
    share: int
    few_share: int = 0  # `FEW_WORDS` are a dictionary only with so many rows for each; 0: always

    def few(self, rows: int) -> int:
        """So few words of so many rows are a dictionary, whatever they look like."""
        return min(FEW_WORDS, rows // self.few_share) if self.few_share else FEW_WORDS

    def of(self, rows: int) -> int:
        """The most words of a dictionary of so many rows."""
        return min(self.most, rows // self.share)


@dataclass(frozen=True, slots=True)
class InferredHole:
    """A hole and its values."""

    hole: Hole
    column: HoleColumn


@dataclass(frozen=True, slots=True)
class Part:
    """What a hole became: one constant more than there are holes."""

    constants: tuple[bytes, ...]
    holes: tuple[InferredHole, ...]


def infer(values: Spans, role: Role, name: str, limits: WordLimits | None = None) -> Part:
    """The typed form of the values of one hole; there is at least one value, and none is absent.

    `limits` of None: those of `MAX_WORDS` and `WORDS_SHARE`.
    """
    limits = limits or WordLimits(MAX_WORDS, WORDS_SHARE)
    if sv.all_same(values.data, values.start, values.length):
        return Part((_text(values, 0),), ())
    dictionary = _Dictionary(values)
    words = dictionary.words(limits.few(len(values)))
    stats = _profile(values if words is None else words.words)
    if role is not Role.ARRAY:
        typed = _typed(values if words is None else words.words, stats)
        if typed is not None and (words is None or typed[0].kind is not HoleKind.HEX):
            kind, column = typed
            return _single(
                name, role, stats, kind, column if words is None else column.take(words.codes)
            )
    if words is None and role in (*_CUTTABLE, Role.PART):
        stripped = _stripped(values, stats, role, name)
        if stripped is not None:
            return stripped
    if words is None:
        words = dictionary.words(limits.of(len(values)))
    if words is not None:
        return _single(name, role, stats, HoleType(kind=HoleKind.WORDS), words)
    if role in _CUTTABLE:
        part = _cut_again(values, name, limits)
        if part is not None:
            return part
    return _single(name, role, stats, HoleType(kind=HoleKind.BYTES), BytesColumn(values))


def _profile(values: Spans) -> I64:
    stats = np.zeros(sv.PROFILE_SIZE, np.int64)
    sv.profile(values.data, values.start, values.length, stats)
    return stats


def _single(name: str, role: Role, stats: I64, kind: HoleType, column: HoleColumn) -> Part:
    low, high = int(stats[sv.MIN_LENGTH]), int(stats[sv.MAX_LENGTH])
    hole = Hole(
        name=name,
        type=kind,
        role=role,
        classes=int(stats[sv.CLASSES]),
        min_length=low,
        max_length=high,
    )
    return Part((b"", b""), (InferredHole(hole, column),))


def _text(values: Spans, row: int) -> bytes:
    begin = int(values.start[row])
    return values.data[begin : begin + int(values.length[row])].tobytes()


def _typed(values: Spans, stats: I64) -> tuple[HoleType, HoleColumn] | None:
    """A number, hex digits, an address or a time; None when it is none of them."""
    kind = likely_type(stats, _text(values, 0))
    column = None if kind is None else _parsed(values, kind)
    return None if kind is None or column is None else (kind, column)


def likely_type(stats: I64, first: bytes) -> HoleType | None:
    """The type that values of such a profile may have, of which one is known; None: texts.

    NUMBER is sure; of the others each value has to be looked at.
    """
    kind = _number_type(stats)
    if kind is not None:
        return kind
    classes, low, high = (int(stats[k]) for k in (sv.CLASSES, sv.MIN_LENGTH, sv.MAX_LENGTH))
    if low == high >= MIN_HEX and not classes & ~_HEX_CLASSES and classes & sv.HEX_LOWER:
        layout = re.sub(rb"[0-9a-f]", b"x", first)
        digits = layout.count(b"x")
        return (
            None if digits % 2 or digits < MIN_HEX else HoleType(kind=HoleKind.HEX, layout=layout)
        )
    if classes == sv.DIGIT | sv.DOT and low >= 7 and high <= 15:
        return HoleType(kind=HoleKind.IPV4)
    if low == high >= 19 and classes & sv.COLON:
        times = time_layout(first)
        return None if times is None else HoleType(kind=HoleKind.TIME, layout=times)
    return None


def _parsed(values: Spans, kind: HoleType) -> HoleColumn | None:
    """The values as that type; None where one is not of it."""
    spans = (values.data, values.start, values.length)
    marks = np.frombuffer(kind.layout, np.uint8)
    if kind.kind is HoleKind.HEX:
        packed = np.empty((len(values), kind.layout.count(b"x") // 2), np.uint8)
        return HexColumn(packed, kind.layout) if sv.parse_hex(*spans, marks, packed) else None
    numbers = np.empty(len(values), np.int64)
    if kind.kind is HoleKind.NUMBER:
        sv.parse_decimals(*spans, kind.scale, numbers)
        fits = True
    elif kind.kind is HoleKind.IPV4:
        fits = sv.parse_ipv4(*spans, numbers)
    else:
        fits = sv.parse_times(*spans, marks, numbers)
    return IntegerColumn(numbers, kind) if fits else None


def _number_type(stats: I64) -> HoleType | None:
    if stats[sv.IS_DECIMAL]:
        scale, least = int(stats[sv.MAX_SCALE]), int(stats[sv.MIN_SCALE])
        if stats[sv.ZERO_SCALE] <= least and stats[sv.MAX_WHOLE] + scale <= MAX_DIGITS:
            return HoleType(kind=HoleKind.NUMBER, scale=scale, least=least)
    width = int(stats[sv.MAX_LENGTH])
    if stats[sv.CLASSES] == sv.DIGIT and stats[sv.MIN_LENGTH] == width <= MAX_DIGITS:
        return HoleType(kind=HoleKind.NUMBER, width=width)
    return None


def time_layout(text: bytes) -> bytes | None:
    """The layout of a time as `parse_times` takes it; None when the text is no time."""
    if _ISO_TIME.fullmatch(text):
        separator, rest = text[4:5], text[19:]
        fraction = re.sub(rb"^([.,])(\d+)", lambda m: m[1] + b"f" * len(m[2]), rest)
        return b"YYYY%bMM%bDD%bhh:mm:ss%b" % (separator, separator, text[10:11], fraction)
    if _CLF_TIME.fullmatch(text):
        return b"DD/bbb/YYYY:hh:mm:ss" + text[20:]
    return None


class _Dictionary:
    """The values as a dictionary: all of them are looked at once, however often it is asked."""

    def __init__(self, values: Spans) -> None:
        self._values = values
        self._whole: SpansColumn | None = None
        self._sampled: tuple[int, int] | None = None  # distinct values, of so many

    def words(self, limit: int) -> WordsColumn | None:
        """A dictionary of at most `limit` words; None when there are more."""
        if limit < 2:
            return None
        if self._whole is None and len(self._values) > 2 * SAMPLE_ROWS:
            distinct, of = self._sampled = self._sampled or self._sample()
            if distinct > limit or distinct > 0.9 * of:
                return None
        whole = self._whole = self._whole or SpansColumn(self._values)
        if len(whole.values) > limit:
            return None
        return WordsColumn(whole.codes, whole.values.packed())

    def _sample(self) -> tuple[int, int]:
        rows = len(self._values)
        sample = self._values.take(np.arange(0, rows, rows // SAMPLE_ROWS))
        return len(SpansColumn(sample).values), len(sample)


def words_of(values: Spans, limit: int) -> WordsColumn | None:
    """The values as a dictionary of at most `limit` words; None when there are more."""
    return _Dictionary(values).words(limit)


def _stripped(values: Spans, stats: I64, role: Role, name: str) -> Part | None:
    """What all values begin and end with as constants, when what is left has a type."""
    prefix, suffix = affixes(_text(values, 0), stats)
    if not prefix and not suffix:
        return None
    inner = Spans(
        values.data,
        values.start + len(prefix),
        (values.length - len(prefix) - len(suffix)).astype(np.int32),
    )
    inside = _profile(inner)
    typed = _typed(inner, inside)
    if typed is None:
        return None
    part = _single(name, role, inside, *typed)
    return Part((prefix, suffix), part.holes)


def affixes(first: bytes, stats: I64) -> tuple[bytes, bytes]:
    """What values of a profile begin and end with, as far as it cannot belong to a number."""
    prefix = first[: int(stats[sv.PREFIX])].rstrip(b"-.0123456789abcdef")
    rest = int(stats[sv.MIN_LENGTH]) - len(prefix)
    suffix = first[len(first) - min(int(stats[sv.SUFFIX]), rest) :]
    return prefix, suffix.lstrip(b".0123456789")


def _cut_again(values: Spans, name: str, limits: WordLimits) -> Part | None:
    """Values that are all cut alike as several holes, when one of those has a type."""
    found = cut(values, fine=True)
    if not found.how.all() or (found.skeleton != found.skeleton[0]).any():
        return None
    count = found.count(0)
    if not 2 <= count <= MAX_PARTS:
        return None
    start, length, fits = found.gather(np.arange(len(values)), values)
    if not fits.all():
        return None
    parts = [
        infer(Spans(values.data, start[k], length[k]), Role.PART, f"{name}.{k + 1}", limits)
        for k in range(count)
    ]
    part = joined(found.constants(0), parts)
    if all(hole.hole.type.kind is HoleKind.BYTES for hole in part.holes):
        return None
    return part


def joined(constants: Sequence[bytes], parts: Sequence[Part]) -> Part:
    """The parts of the holes between constants as one part."""
    texts = [constants[0]]
    holes: list[InferredHole] = []
    for part, constant in zip(parts, constants[1:], strict=True):
        texts[-1] += part.constants[0]
        holes += part.holes
        texts += part.constants[1:]
        texts[-1] += constant
    return Part(tuple(texts), tuple(holes))
