"""What does a YAML text hold? Its nodes with their texts as written, so that `1` can be a string.

Types are the caller's to ask for: `text_of` takes any scalar as the text that stands there, which a
loader that guesses types would have lost. Keys are unique; `<<` merges; only the first document is
read. What does not fit raises `YamlError`, and so does a text whose aliases stand for far more than
it has bytes.
"""

from collections.abc import Iterable, Mapping, Sequence

import yaml

from narfi.core.errors import AppError, ErrorKind
from narfi.core.units import parse_prometheus_duration

MAX_BYTES = 4 * 2**20
"""Of a text."""
MAX_VALUES = 500_000
"""Of a text with aliases, each counted as often as it is read."""
MAX_MERGES = 20
"""Maps of which each merges the next one."""
_DECIMAL = frozenset("0123456789+-.eE")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"


class YamlError(AppError):
    """The text is no YAML, or not of the shape that is asked for."""

    kind = ErrorKind.INVALID


def first_document(text: bytes) -> yaml.Node | None:
    """The root of the first document; None when there is nothing."""
    if len(text) > MAX_BYTES:
        raise YamlError(f"more than {MAX_BYTES} bytes")
    try:
        loader = _LOADER(text.decode("utf-8"))
        try:
            found: yaml.Node | None = loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise YamlError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise YamlError("nested too deeply") from error
    if found is not None and b"*" in text and _values(found) > MAX_VALUES:
        raise YamlError(f"aliases stand for more than {MAX_VALUES} values")
    return found


def _values(root: yaml.Node) -> int:
    """How many nodes there are when each alias is read; what holds itself counts once."""
    counts: dict[int, int] = {}
    waiting = [root]
    while waiting:
        node = waiting[-1]
        if counts.get(id(node)):
            waiting.pop()
        elif id(node) in counts:
            counts[id(node)] = 1 + sum(counts[id(part)] for part in _parts(node))
        else:
            counts[id(node)] = 0  # while its parts are counted
            waiting += [part for part in _parts(node) if id(part) not in counts]
    return counts[id(root)]


def _parts(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return (part for pair in node.value for part in pair)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def is_null(node: yaml.Node) -> bool:
    """Whether nothing stands there."""
    return bool(node.tag == f"{_TAG}null")


def place_of(node: yaml.Node) -> str:
    """`line 3`, counted from 1."""
    return f"line {node.start_mark.line + 1}"


def _wrong(node: yaml.Node, wanted: str) -> YamlError:
    return YamlError(f"{place_of(node)}: must be {wanted}")


def map_of(node: yaml.Node) -> Mapping[str, yaml.Node]:
    """Keys and values, in the order in which they stand; nothing of null."""
    return _map_of(node, MAX_MERGES)


def _map_of(node: yaml.Node, merges: int) -> Mapping[str, yaml.Node]:
    """As `map_of`; `merges` are left."""
    if is_null(node):
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(node, "a map")
    found: dict[str, yaml.Node] = {}
    merged: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not merges or not isinstance(source, yaml.MappingNode):
                    raise _wrong(source, "another map")
                for name, one in _map_of(source, merges - 1).items():
                    merged.setdefault(name, one)  # what stands first is taken
            continue
        name = text_of(key)
        if name in found:
            raise YamlError(f"{place_of(key)}: key {name!r} is there twice")
        found[name] = value
    return {name: value for name, value in merged.items() if name not in found} | found


def list_of(node: yaml.Node) -> Sequence[yaml.Node]:
    """The items; none of null."""
    if is_null(node):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise _wrong(node, "a list")
    items: Sequence[yaml.Node] = node.value
    return items


def text_of(node: yaml.Node) -> str:
    """A scalar as it stands there; "" of null."""
    if not isinstance(node, yaml.ScalarNode):
        raise _wrong(node, "a text")
    if is_null(node):
        return ""
    text: str = node.value
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _wrong(node, "valid Unicode")
    return text


def texts_of(node: yaml.Node) -> dict[str, str]:
    """A map of texts."""
    return {name: text_of(value) for name, value in map_of(node).items()}


def duration_of(node: yaml.Node) -> int:
    """A duration in Prometheus' form, in ns; 0 of null."""
    if is_null(node):
        return 0
    text = text_of(node)
    try:
        return parse_prometheus_duration(text)
    except AppError as error:
        raise YamlError(f"{place_of(node)}: {error.message}") from error


def int_of(node: yaml.Node) -> int:
    """A whole number, or what is before the point of one that is not; 0 of null."""
    if is_null(node):
        return 0
    if isinstance(node, yaml.ScalarNode) and (node.tag != f"{_TAG}str" or node.style in (None, "")):
        try:
            number = _whole(node.value.replace("_", ""))
        except (ValueError, OverflowError):
            raise _wrong(node, "a whole number") from None
        if -(2**63) <= number < 2**63:
            return number
    raise _wrong(node, "a whole number")


def _whole(text: str) -> int:
    """Of a number as YAML 1.2 and 1.1 write it: `12`, `0x1f`, `0o17`, `017`, `1e3`, `1.5`."""
    if not text.isascii():
        raise ValueError(text)
    for base in (0, 8):
        try:
            return int(text, base)
        except ValueError:
            continue
    if not _DECIMAL.issuperset(text):
        raise ValueError(text)
    return int(float(text))
