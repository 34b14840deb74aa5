"""On which line does a key stand? YAML as plain values plus the line of every path.

A path is a tuple of keys and list indexes, as pydantic's error locations are.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from narfi.core.text.envsubst import SubstitutionError, expand_environment
from promtail_agent.errors import ConfigError

KeyPath = tuple[str | int, ...]
_AS_WRITTEN = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "timestamp")
)
"""Scalars that stay text: whether `off`, `1.0` or `08` is one depends on who reads it, as in Go."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"


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


def load_lined_yaml(file: Path, expand_env: bool) -> LinedYaml:
    """Read and parse a file; raises `ConfigError` naming the line of a syntax error.

    Of several documents the first is taken, as in Go.
    """
    text = _read(file, expand_env)
    try:
        root = _first_document(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{file}:{line}: not valid YAML: {problem}") from error
    lines: dict[KeyPath, int] = {(): 1}
    document = LinedYaml(str(file), None, lines)
    value = _plain(root, (), document) if root is not None else None
    return LinedYaml(str(file), value, lines)


def _first_document(text: str) -> yaml.Node | None:
    """Read by libyaml, where it is; what that refuses is read slowly, for clearer words."""
    with contextlib.suppress(yaml.YAMLError):
        return next(yaml.compose_all(text, Loader=_LOADER), None)
    return next(yaml.compose_all(text, Loader=yaml.SafeLoader), None)


def _read(file: Path, expand_env: bool) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    if not expand_env:
        return text
    try:
        return expand_environment(text, os.environ)
    except SubstitutionError as error:
        line = text.count("\n", 0, error.offset) + 1
        raise ConfigError(f"{file}:{line}: {error.message}") from error


def _plain(node: yaml.Node, path: KeyPath, document: LinedYaml) -> object:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), document) for i, item in enumerate(node.value)]
    if node.tag in _AS_WRITTEN:
        return str(node.value)
    constructor = yaml.SafeLoader("")
    try:
        return constructor.construct_object(node)
    except yaml.YAMLError as error:
        message = getattr(error, "problem", None) or str(error)
        raise ConfigError(document.complain(path, message)) from error
    finally:
        constructor.dispose()


def _mapping(node: yaml.MappingNode, path: KeyPath, document: LinedYaml) -> dict[str, object]:
    out: dict[str, object] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            continue
        key = str(key_node.value)
        here = (*path, key)
        line = key_node.start_mark.line + 1
        if key in out:
            raise ConfigError(f"{document.name}:{line}: {path_text(here)}: key given twice")
        document.lines.setdefault(here, line)
        out[key] = _plain(value_node, here, document)
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            _merge(out, value_node, path, document)
    return out


def _merge(out: dict[str, object], node: yaml.Node, path: KeyPath, document: LinedYaml) -> None:
    """Put in what `<<` names, one mapping or a list of them: earlier ones win."""
    for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if not isinstance(source, yaml.MappingNode):
            line = source.start_mark.line + 1
            raise ConfigError(f"{document.name}:{line}: <<: only mappings can be merged")
        for key, value in _mapping(source, path, document).items():
            out.setdefault(key, value)
