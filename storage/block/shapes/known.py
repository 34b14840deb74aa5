"""Which shapes did a stream have in earlier blocks? Remembered as rows for the matcher.

A stream tries the shapes that it had; a new one begins with those of its service. What is
remembered is bounded in shapes, bytes and streams; what was not used for longest is forgotten
first. Tenants share nothing. Invariant: a shape is remembered only when a line that matches it is
cut as the lines were that it was made of (`matchable`).
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, U8, Mask, Spans
from narfi.core.kernels import shape_match as sm
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId
from storage.block.shapes.alike import app_of
from storage.block.shapes.cut import cut
from storage.lines.template import Hole, HoleKind, LineKind, Role, Template

MAX_KNOWN = 2048
"""Shapes of all tenants; real logs have about a hundred new ones in a block."""
MAX_BYTES = 8 << 20
MAX_STREAMS = 32_768
MAX_TRIED = 64
"""Shapes of a stream, the newest ones; most lines match one of the first three."""
SERVICE_NAME = "service_name"

_KINDS = {
    HoleKind.NUMBER: sm.NUMBER,
    HoleKind.HEX: sm.HEX,
    HoleKind.IPV4: sm.IPV4,
    HoleKind.TIME: sm.TIME,
    HoleKind.WORDS: sm.WORDS,
    HoleKind.BYTES: sm.BYTES,
}
_ENDS = {
    Role.WORD: sm.BY_WORD,
    Role.VALUE: sm.BY_VALUE,
    Role.QUOTED: sm.BY_QUOTE,
    Role.STRING: sm.BY_STRING,
    Role.LITERAL: sm.BY_LITERAL,
    Role.ARRAY: sm.BY_ARRAY,
    Role.PART: sm.BY_RUN,
}

Owner = tuple[TenantId, Labels | str]
"""A stream, or a service."""


@dataclass(frozen=True, slots=True)
class Model:
    """A line of a shape as it was cut: how, the hash of its constants, its words."""

    cut: int
    skeleton: int
    words: list[bytes]


@dataclass(slots=True, eq=False, kw_only=True)
class KnownShape:
    """A shape of earlier blocks; `rows` are those of the matcher's table."""

    template: Template
    model: Model
    rows: I64  # places of texts are relative to `texts`
    texts: bytes  # constants and layouts
    cells: int
    forgotten: bool = False
    fields: tuple[tuple[Hashable, ...], ...] = ()  # of a shape of a family: the field of each hole
    lines: int = 0  # of which it was learnt
    looks: tuple[Hashable, ...] = ()  # of each row, what it asks of a line
    asks: tuple[int, int, int, int]  # holes, cells, least bytes of a line, its last byte (-1: any)
    dictionaries: int  # that it has of its own
    words: frozenset[int] = frozenset()
    """Holes of a family's shape whose texts were few words: they are numbered as lines match."""

    @property
    def nbytes(self) -> int:
        """About what it takes."""
        return self.rows.nbytes + 3 * len(self.texts) + 384 * (2 + len(self.template.holes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The shapes that the streams of a block try, as the matcher wants them."""

    known: list[KnownShape]
    tried: I32  # numbers of shapes, of each stream one behind the other
    tried_from: I64
    shapes: I64
    table: I64
    begins: I32  # a number for each row of the table: equal where the rows up to it are
    texts: U8
    dictionaries: int
    vain: Mask  # streams of which the last block had nothing but plain lines to give


def matchable(template: Template, how: int) -> bool:
    """Whether lines that match are surely cut as it was (`how`).

    Not so for texts that are nearly JSON or logfmt, of which a line with other values is just that;
    nor where an escape begins in a constant and ends in a part of a string.
    """
    first = template.constants[0]
    inside = first[1:].lstrip(b" \t\r\n")[:1]
    if template.kind is LineKind.TEXT and first[:1] == b"{" and inside in (b'"', b"}"):
        return False
    plainest = Spans.of([b"1".join(template.constants)])
    if int(cut(plainest, fine=False).how[0]) != how:
        return False
    return template.kind is not LineKind.JSON or not any(
        hole.role is Role.PART and constant.endswith(b"\\")
        for hole, constant in zip(template.holes, template.constants, strict=False)
    )


def cells_of(hole: Hole) -> int:
    """How many cells the matcher needs for a value of the hole."""
    if hole.type.kind is not HoleKind.HEX:
        return 1
    return (hole.type.layout.count(b"x") // 2 + 7) // 8


def known_shape(template: Template, model: Model) -> KnownShape:
    """The shape as rows of the matcher's table."""
    rows = [[0] * sm.COLUMNS for _ in template.constants]
    texts = bytearray()
    cells = braces = dictionaries = 0
    for row, constant in zip(rows, template.constants, strict=True):
        row[sm.AT], row[sm.SIZE] = len(texts), len(constant)
        head = constant[:8]
        row[sm.MASK] = -1 if len(head) == 8 else (1 << 8 * len(head)) - 1
        row[sm.FIRST] = int.from_bytes(head.ljust(8, b"\0"), "little", signed=True)
        texts += constant
    for row, hole in zip(rows, template.holes, strict=False):
        kind = hole.type
        braces += texts.count(b"{", row[sm.AT], row[sm.AT] + row[sm.SIZE])
        row[sm.KIND], row[sm.ENDS] = _KINDS[kind.kind], _ENDS[hole.role]
        row[sm.SCALE], row[sm.LEAST], row[sm.WIDTH] = kind.scale, kind.least, kind.width
        if kind.layout:
            row[sm.LAYOUT], row[sm.WIDTH] = len(texts), len(kind.layout)
            texts += kind.layout
        if kind.kind is HoleKind.HEX:
            row[sm.SCALE] = not kind.layout.strip(b"x") and len(kind.layout) % 8 == 0
        elif hole.role is Role.ARRAY:
            row[sm.SCALE] = braces
        if kind.kind is HoleKind.WORDS:
            row[sm.DICTIONARY] = dictionaries
            dictionaries += 1
        row[sm.CELL] = cells
        cells += cells_of(hole)
    table = np.array(rows, np.int64)
    asked = zip(template.constants, template.holes, rows, strict=False)
    looks = tuple((text, hole.type.layout, *row[sm.KIND : sm.LAYOUT]) for text, hole, row in asked)
    least = template.constant_bytes + sum(len(hole.type.layout) for hole in template.holes)
    end = template.constants[-1]
    return KnownShape(
        template=template,
        model=model,
        rows=table,
        texts=bytes(texts),
        cells=cells,
        looks=looks,
        asks=(len(template.holes), cells, least, end[-1] if end else -1),
        dictionaries=dictionaries,
    )


class KnownShapes:
    """The memory of one store; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shapes: OrderedDict[tuple[TenantId, object], KnownShape] = OrderedDict()
        self._tried: OrderedDict[Owner, list[KnownShape]] = OrderedDict()
        self._vain: set[Owner] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._shapes)

    @property
    def nbytes(self) -> int:
        """About what all shapes take."""
        return self._bytes

    def candidates(self, tenant: TenantId, labels: Sequence[Labels]) -> Candidates:
        """What the streams of a block try."""
        numbers: dict[int, int] = {}
        known: list[KnownShape] = []
        apps: list[str | None] = []
        tried: list[int] = []
        bounds = [0]
        vain = np.zeros(len(labels), np.bool_)
        with self._lock:
            for ordinal, found in enumerate(labels):
                vain[ordinal] = (tenant, found) in self._vain
                for shape in self._of(tenant, found):
                    number = numbers.setdefault(id(shape), len(known))
                    if number == len(known):
                        known.append(shape)
                        apps.append(app_of(found))
                    tried.append(number)
                bounds.append(len(tried))
        starts = np.array(bounds, np.int64)
        return _candidates(known, apps, np.array(tried, np.int32), starts, vain)

    def unknown(self, tenant: TenantId, labels: Sequence[Labels]) -> Mask:
        """Which streams never had a shape, nor their service where they name one."""
        with self._lock:
            known = (
                (tenant, found) in self._tried or (_service(found) and self._of(tenant, found))
                for found in labels
            )
            return np.array([not one for one in known], np.bool_)

    def _of(self, tenant: TenantId, labels: Labels) -> Iterable[KnownShape]:
        own = self._tried.get((tenant, labels))
        if own is None:
            own = self._tried.get((tenant, _service(labels)), [])
        return [shape for shape in own if not shape.forgotten]

    def learn(self, tenant: TenantId, shape: KnownShape, labels: Sequence[Labels]) -> None:
        """A block has lines of the shape; it comes first among those that the streams try.

        Streams that try it already need not be named.
        """
        with self._lock:
            key = (tenant, shape.template.cut_key())
            same = self._shapes.get(key)
            if same is None:
                self._shapes[key] = shape
                self._bytes += shape.nbytes
            else:
                shape = same
            self._shapes.move_to_end(key)
            for found in labels:
                self._put_first((tenant, found), shape)
            for service in {_service(found) for found in labels}:
                self._put_first((tenant, service), shape)
            while len(self._shapes) > MAX_KNOWN or self._bytes > MAX_BYTES:
                self._forget(next(iter(self._shapes)))  # the one not used for longest

    def forget(self, tenant: TenantId, shape: KnownShape) -> None:
        """The shape does not fit any more; it is learnt anew."""
        with self._lock:
            key = (tenant, shape.template.cut_key())
            if self._shapes.get(key) is shape:
                self._forget(key)

    def forget_all(self, tenant: TenantId) -> None:
        """Nothing of the tenant is known any more."""
        with self._lock:
            for key in [key for key in self._shapes if key[0] == tenant]:
                self._forget(key)

    def tell(self, tenant: TenantId, labels: Labels, *, vain: bool) -> None:
        """Whether cutting what matched nothing made shapes of few lines of the stream, or none."""
        with self._lock:
            if vain:
                self._vain.add((tenant, labels))
                self._tried.setdefault((tenant, labels), [])
                self._within_bounds()
            else:
                self._vain.discard((tenant, labels))

    def _put_first(self, owner: Owner, shape: KnownShape) -> None:
        tenant, who = owner
        mine = self._tried.get(owner)
        if mine is None and isinstance(who, Labels):
            mine = self._tried.get((tenant, _service(who)))
        others = [s for s in mine or () if s is not shape and not s.forgotten]
        self._tried[owner] = [shape, *others][:MAX_TRIED]
        self._tried.move_to_end(owner)
        self._within_bounds()

    def _within_bounds(self) -> None:
        while len(self._tried) > MAX_STREAMS:
            owner, _ = self._tried.popitem(last=False)
            self._vain.discard(owner)

    def _forget(self, key: tuple[TenantId, object]) -> None:
        shape = self._shapes.pop(key)
        shape.forgotten = True  # lists of streams leave it out when they are used next
        self._bytes -= shape.nbytes


def _service(labels: Labels) -> str:
    return labels.get(SERVICE_NAME) or ""


def _candidates(
    known: list[KnownShape], apps: Sequence[str | None], tried: I32, tried_from: I64, vain: Mask
) -> Candidates:
    """The shapes' rows in one table, with addresses in it.

    Holes of one field, in shapes of one of the `apps`, have a dictionary in common.
    """
    heights = np.array([len(shape.rows) for shape in known], np.int64)
    first_row = np.cumsum(heights) - heights
    sizes = np.array([len(shape.texts) for shape in known], np.int64)
    texts: NDArray[np.uint8] = np.frombuffer(b"".join(shape.texts for shape in known), np.uint8)
    table = np.concatenate([np.zeros((0, sm.COLUMNS), np.int64), *(shape.rows for shape in known)])
    text_from = np.repeat(texts.ctypes.data + np.cumsum(sizes) - sizes, heights)
    table[:, sm.AT] += text_from
    table[:, sm.LAYOUT] += text_from
    dictionary_from: list[int] = []
    shared: dict[Hashable, int] = {}
    numbered: list[tuple[int, int]] = []  # rows of holes with a shared dictionary, and which
    dictionaries = 0
    for shape, app, row in zip(known, apps, first_row.tolist(), strict=True):
        dictionary_from.append(dictionaries)
        dictionaries += shape.dictionaries
        for hole in sorted(shape.words):
            number = shared.setdefault((app, shape.fields[hole]), dictionaries)
            numbered.append((row + hole, number))
            dictionaries += number == dictionaries
    table[:, sm.DICTIONARY] += np.repeat(np.array(dictionary_from, np.int64), heights)
    if numbered:
        rows, codes = np.array(numbered, np.int64).T
        table[rows, sm.KIND], table[rows, sm.DICTIONARY] = sm.WORDS, codes
    shapes = np.array([(0, *shape.asks) for shape in known], np.int64).reshape(-1, 5)
    shapes[:, sm.FIRST_ROW] = first_row
    return Candidates(
        known=known,
        tried=tried,
        tried_from=tried_from,
        shapes=shapes,
        table=table,
        begins=np.array(_begins(known, table), np.int32),
        texts=texts,
        dictionaries=dictionaries,
        vain=vain,
    )


def _begins(known: Sequence[KnownShape], table: I64) -> Sequence[int]:
    """A number for each row of the table, the same in shapes whose rows up to it are equal.

    The last row of a shape, which no hole follows, is never asked.
    """
    rows = zip(table[:, sm.KIND].tolist(), table[:, sm.DICTIONARY].tolist(), strict=True)
    numbers: dict[Hashable, int] = {}
    found: list[int] = []
    for shape in known:
        number = -1
        for look, (kind, dictionary) in zip(shape.looks, rows, strict=False):
            key = number, look, kind, dictionary if kind == sm.WORDS else -1
            number = numbers.setdefault(key, len(numbers))
            found.append(number)
        next(rows)
        found.append(-1)
    return found
