"""How is a mistake in a configuration told? By file, line and key, in plain words."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

import pydantic

from narfi.core.setting_types import SECRET
from narfi.core.text.yaml_lines import KeyPath, LinedYaml, path_text

_AS_IN_LOKI = {
    "auth_enabled": "tenancy: header for true, tenancy: single for false",
    "limits_config": "limits",
    "http_listen_address": "http: HOST:PORT",
    "http_listen_port": "http: HOST:PORT",
    "grpc_listen_address": "grpc: HOST:PORT",
    "grpc_listen_port": "grpc: HOST:PORT",
    "log_level": "log.level, on the top level",
    "storage_config": "storage",
}
"""Loki's keys that have another name here."""
_MAPPINGS = ("dict_type", "model_type", "model_attributes_type", "mapping_type")
_WORDS = {
    "string_type": "must be a text: put it in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "path_type": "must be a path",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "missing": "is missing",
}


@dataclass(frozen=True, slots=True)
class Where:
    """Where settings were written: a file, whose lines are known, variables, or nowhere."""

    name: str
    document: LinedYaml | None = None
    variables: Mapping[str, list[str]] | None = None

    def of(self, path: KeyPath) -> str:
        """The variable that gave a key, or file and line, or the file."""
        parts = [str(part) for part in path]
        for name, keys in (self.variables or {}).items():
            if keys[: len(parts)] == parts:
                return name
        if self.document is None or path[:1] not in self.document.lines:
            return self.name
        return f"{self.name}:{self.document.line_of(path)}"

    def key_of(self, path: KeyPath) -> str:
        """The key, or the one below it that a variable gave."""
        parts = [str(part) for part in path]
        given = (self.variables or {}).values()
        longer = next((keys for keys in given if keys[: len(parts)] == parts), None)
        return ".".join(longer) if longer else path_text(path)


def mistake_text(
    error: pydantic.ValidationError, where: Where, model: type[pydantic.BaseModel]
) -> str:
    """The first thing that is wrong, as one line."""
    problem = error.errors()[0]
    path: KeyPath = problem["loc"]
    place, key = where.of(path), where.key_of(path)
    if problem["type"] == "extra_forbidden":
        return f"{place}: unknown key {key!r}{_meant(path, model)}"
    if problem["type"] == SECRET:
        return f"{place}: {key}: {problem['msg']}"
    message = "has no value: give one, or leave the key out"
    if problem.get("input", "") is not None:
        message = plain_words(problem["type"], problem["msg"])
    return f"{place}: {key}: {message} (found {problem.get('input')!r})"


def plain_words(kind: str, message: str) -> str:
    """What pydantic says of a value, by the kind of the problem."""
    if kind in _MAPPINGS:
        return "has keys of its own: write them below it, indented"
    message = message.removeprefix("Value error, ").partition("\n")[0]
    return _WORDS.get(kind, message).replace("Input should be", "must be")


def _meant(path: KeyPath, model: type[pydantic.BaseModel]) -> str:
    *sections, last = (str(part) for part in path)
    if last in _AS_IN_LOKI:
        return f": Loki's key; here it is {_AS_IN_LOKI[last]} (docs/operations.md)"
    known = keys_at(model, path[:-1])
    if near := nearest_of(last, known):
        return f"; did you mean {'.'.join([*sections, near])!r}?"
    elsewhere = [key for key in all_keys(model) if key.rpartition(".")[2] == last]
    if elsewhere:
        return f"; did you mean {elsewhere[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""


def nearest_of(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant; "" where none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), "")


def meant_of(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, where one is near."""
    near = nearest_of(name, known)
    return f"; did you mean {near!r}?" if near else ""


def keys_at(model: type[pydantic.BaseModel], path: KeyPath) -> list[str]:
    """Keys that a section may have, also where it is one of a list."""
    found: type[pydantic.BaseModel] | None = model
    for section in path:
        if found is not None and isinstance(section, str):
            found = _model_of(found, section)
    return [] if found is None else [f.alias or name for name, f in found.model_fields.items()]


def _model_of(model: type[pydantic.BaseModel], key: str) -> type[pydantic.BaseModel] | None:
    fields = model.model_fields.items()
    field = next((field for name, field in fields if key in (name, field.alias)), None)
    return _model_in(field.annotation) if field is not None else None


def _model_in(kind: object) -> type[pydantic.BaseModel] | None:
    """The model of an annotation, also within a tuple or an optional."""
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return kind
    return next((found for part in get_args(kind) if (found := _model_in(part))), None)


def all_keys(model: type[pydantic.BaseModel], before: str = "") -> list[str]:
    """Every key with a value, such as `server.http`."""
    found: list[str] = []
    for name in model.model_fields:
        inner = _model_of(model, name)
        found += [before + name] if inner is None else all_keys(inner, f"{before}{name}.")
    return found
