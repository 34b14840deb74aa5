"""What travels through the agent? One entry: labels, time, line, metadata, extracted values.

Invariant: a `LabelSet` never changes; stages replace an entry's set by a derived one. Derived sets
are remembered by the family of one target, so that a steady stream of lines costs one dictionary
look-up per label and the selector text is built once per stream.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from narfi.core.labels import labels_text
from promtail_agent.known import Beside

TENANT_LABEL = "__tenant_id__"
_MAX_DERIVED = 1024
"""Of one target's family; beyond it the memo starts anew: labels of many values must not fill
the memory, and two such labels not multiply."""

Extracted = dict[str, object]
"""Values found by stages; str, bytes, float, int, bool or None."""


class LabelSet:
    """Immutable labels of an entry; `__tenant_id__` is kept apart from the text."""

    __slots__ = ("_family", "_text", "values")

    def __init__(self, values: Mapping[str, str], family: "_Family | None" = None) -> None:
        self.values: Mapping[str, str] = dict(values)
        self._text: str | None = None
        self._family: _Family = {} if family is None else family

    @property
    def text(self) -> str:
        """Selector text `{a="1", b="2"}`, sorted, without the tenant."""
        if self._text is None:
            pairs = ((n, valid_text(v)) for n, v in self.values.items() if n != TENANT_LABEL)
            self._text = labels_text(sorted(pairs))
        return self._text

    @property
    def tenant(self) -> str:
        """The tenant set by a stage, or an empty text."""
        return self.values.get(TENANT_LABEL, "")

    def with_label(self, name: str, value: str) -> "LabelSet":
        """These labels with one set or replaced; an empty value removes it."""
        key = (self, name, value)
        found = self._family.get(key)
        if found is None:
            values = dict(self.values)
            if value:
                values[name] = value
            else:
                values.pop(name, None)
            if len(self._family) >= _MAX_DERIVED:
                self._family.clear()
            found = self._family[key] = LabelSet(values, self._family)
        return found

    def without(self, names: Iterable[str]) -> "LabelSet":
        """These labels less the named ones."""
        current = self
        for name in names:
            if name in current.values:
                current = current.with_label(name, "")
        return current


_Family = dict[tuple[LabelSet, str, str], LabelSet]
"""Label sets that come of one: parent, label and value to the set with it."""


@dataclass(slots=True, eq=False, kw_only=True)
class Generation:
    """One life of a file's content: the same path after a rotation is another generation.

    `head` is the content of the first bytes read so far, by which a copied or rewritten file is
    recognised; it grows up to `rotation.HEAD_BYTES`. `turn` grows from one generation of a path to
    the next, in the order in which they are read. `base` is the place of the first byte among all
    generations of the path; `beside` the files that were done with when this one began.
    """

    path: str
    device: int
    inode: int
    head: bytes = b""
    turn: int = 0
    base: int = 0
    beside: Beside | None = None

    @property
    def is_file(self) -> bool:
        """Whether places in it are places in a file."""
        return self.inode != 0


@dataclass(slots=True, eq=False)
class AgentEntry:
    """A line on its way; stages change it in place, one owner at a time.

    `generation` and `offset` say where the line starts (None for sources that are no files).
    """

    labels: LabelSet
    ts_ns: int
    line: bytes
    extracted: Extracted
    generation: Generation | None = None
    offset: int = 0
    metadata: list[tuple[str, str]] = field(default_factory=list)

    @property
    def place(self) -> int:
        """Where the line starts among all contents of its path; 0 where it is of no file."""
        generation = self.generation
        if generation is None or not generation.is_file:
            return 0
        return generation.base + self.offset


def as_text(value: object) -> str | None:
    """An extracted value as text, or None where it has no text form (reference/agent.md §11)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float_text(value)
    return None


def _float_text(value: float) -> str:
    """Shortest decimal without an exponent."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text.removesuffix(".0")


def valid_text(text: str) -> str:
    """A text that may hold any bytes, as `as_text` and file names do, fit to be sent as UTF-8."""
    if text.isascii():
        return text
    return as_bytes(text).decode("utf-8", "replace")


def as_bytes(text: str) -> bytes:
    """The bytes of a text that `as_text` may have made from bytes that are not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate of somebody's JSON
        return text.encode("utf-8", "replace")
