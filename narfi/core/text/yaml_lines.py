"""On which line does a key stand? YAML as plain values plus the line of every path.

A path is a tuple of keys and list indexes, as pydantic's error locations are.
"""

import contextlib
from dataclasses import dataclass

import yaml

from narfi.core.errors import AppError, ErrorKind

KeyPath = tuple[str | int, ...]
_AS_WRITTEN = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "timestamp")
)
"""Scalars that stay text: whether `off`, `1.0` or `08` is one depends on who reads it, as in Go."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"


class YamlMistakeError(AppError):
    """The text is no YAML, or gives a key twice; the message names file and line."""

    kind = ErrorKind.INVALID


@dataclass(frozen=True, slots=True)
class LinedYaml:
    """A parsed document and where its keys are."""

    name: str
    value: object
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int:
        """The line of a path, or of its nearest known parent; counted from 1."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1

    def complain(self, path: KeyPath, message: str) -> str:
        """`<file>:<line>: <key>: <message>`."""
        key = path_text(path)
        return f"{self.name}:{self.line_of(path)}: {key + ': ' if key else ''}{message}"


def path_text(path: KeyPath) -> str:
    """`clients[0].url` of a path."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += f".{part}" if out else part
    return out


def lined_yaml(text: str, name: str) -> LinedYaml:
    """Parse it; raises `YamlMistakeError`. Of several documents the first is taken, as in Go."""
    try:
        root = _first_document(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or str(error)
        raise YamlMistakeError(f"{name}:{line}: not valid YAML: {problem}") from error
    lines: dict[KeyPath, int] = {(): 1}
    document = LinedYaml(name, None, lines)
    value = _Reading(document).plain(root, ()) if root is not None else None
    return LinedYaml(name, value, lines)


def _first_document(text: str) -> yaml.Node | None:
    """Read by libyaml, where it is; what that refuses is read slowly, for clearer words."""
    with contextlib.suppress(yaml.YAMLError):
        return next(yaml.compose_all(text, Loader=_LOADER), None)
    return next(yaml.compose_all(text, Loader=yaml.SafeLoader), None)


class _Reading:
    """Nodes of one document as values; their lines are put into it."""

    def __init__(self, document: LinedYaml) -> None:
        self._document = document
        self._within: set[int] = set()  # nodes that are being read: an alias may name one

    def plain(self, node: yaml.Node, path: KeyPath) -> object:
        """The value of a node."""
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._within:
            raise YamlMistakeError(self._document.complain(path, "an alias of what it is within"))
        self._within.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return [self.plain(item, (*path, i)) for i, item in enumerate(node.value)]
        finally:
            self._within.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        if node.tag in _AS_WRITTEN:
            return str(node.value)
        constructor = yaml.SafeLoader("")
        try:
            return constructor.construct_object(node)
        except yaml.YAMLError as error:
            message = getattr(error, "problem", None) or str(error)
            raise YamlMistakeError(self._document.complain(path, message)) from error
        finally:
            constructor.dispose()

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        out: dict[str, object] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            key = str(key_node.value)
            here = (*path, key)
            line = key_node.start_mark.line + 1
            if key in out:
                told = f"{self._document.name}:{line}: {path_text(here)}: key given twice"
                raise YamlMistakeError(told)
            self._document.lines.setdefault(here, line)
            out[key] = self.plain(value_node, here)
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                self._merge(out, value_node, path)
        return out

    def _merge(self, out: dict[str, object], node: yaml.Node, path: KeyPath) -> None:
        """Put in what `<<` names, one mapping or a list of them: earlier ones win."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                line = source.start_mark.line + 1
                told = f"{self._document.name}:{line}: <<: only mappings can be merged"
                raise YamlMistakeError(told)
            if id(source) in self._within:
                raise YamlMistakeError(
                    self._document.complain(path, "an alias of what it is within")
                )
            for key, value in self._mapping(source, path).items():
                out.setdefault(key, value)
