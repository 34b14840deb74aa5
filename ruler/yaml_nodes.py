"""What does a YAML text hold? Its nodes with their texts as written, so that `1` can be a string.

Types are the caller's to ask for: `text_of` takes any scalar as the text that stands there, which a
loader that guesses types would have lost. Keys are unique; `<<` merges; only the first document is
read. What does not fit raises `YamlError`.
"""

from collections.abc import Mapping, Sequence

import yaml

from narfi.core.errors import AppError, ErrorKind
from narfi.core.units import parse_prometheus_duration

MAX_BYTES = 4 * 2**20
"""Of a text."""
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
    return found


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
    if is_null(node):
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(node, "a map")
    found: dict[str, yaml.Node] = {}
    merged: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if source is node or not isinstance(source, yaml.MappingNode):
                    raise _wrong(source, "another map")
                merged = {k.value: v for k, v in source.value if _is_plain(k)} | merged
            continue
        name = text_of(key)
        if name in found:
            raise YamlError(f"{place_of(key)}: key {name!r} is there twice")
        found[name] = value
    return {name: value for name, value in merged.items() if name not in found} | found


def _is_plain(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge"


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
    if isinstance(node, yaml.ScalarNode) and node.tag in (f"{_TAG}int", f"{_TAG}float"):
        try:
            number = int(float(node.value)) if node.tag.endswith("float") else int(node.value, 0)
        except (ValueError, OverflowError):
            raise _wrong(node, "a whole number") from None
        if -(2**63) <= number < 2**63:
            return number
    raise _wrong(node, "a whole number")
