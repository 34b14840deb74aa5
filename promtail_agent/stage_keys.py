"""Which keys of a stage are none? Promtail ignores those: they are told, and not refused.

Its stages also take a key in any case (`Source`); an exact key goes before. Everywhere else in the
configuration an unknown key is an error.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, RootModel

from promtail_agent.stages.base import StageConfig
from promtail_agent.stages.registry import STAGES
from promtail_agent.yaml_lines import KeyPath

Tell = Callable[[KeyPath], None]
"""Called with the path of each key that is ignored."""


def known_keys(name: str, body: Any, path: KeyPath, tell: Tell) -> Any:
    """What a stage of this name is told by `body`, without the keys that it does not have."""
    module = STAGES.get(name)
    if module is None or body is None:
        return body
    model: type[BaseModel] = module.Config
    if not model.model_fields:  # takes nothing, so it looks at nothing
        if body:
            tell(path)
        return {}
    found = _of_model(model, body, path, tell)
    if name == "match" and isinstance(found, dict) and isinstance(found.get("stages"), list):
        key = next(key for key in body if key.lower() == "stages")
        found["stages"] = [
            _of_stage(stage, (*path, key, i), tell) for i, stage in enumerate(found["stages"])
        ]
    return found


def _of_stage(stage: Any, path: KeyPath, tell: Tell) -> Any:
    if not isinstance(stage, dict):
        return stage
    return {name: known_keys(name, body, (*path, name), tell) for name, body in stage.items()}


def _of_model(model: type[BaseModel], body: Any, path: KeyPath, tell: Tell) -> Any:
    if not isinstance(body, dict):
        return body
    if issubclass(model, RootModel):
        inner = _model_in(model.model_fields["root"].annotation)
        if inner is None:
            return body
        return {key: _of_model(inner, item, (*path, key), tell) for key, item in body.items()}
    found: dict[str, Any] = {}
    for key, item in body.items():
        field = _field(model, key, body)
        here = (*path, key)
        if field is None:
            tell(here)
            continue
        inner = _model_in(model.model_fields[field].annotation)
        found[field] = item if inner is None else _of_model(inner, item, here, tell)
    if issubclass(model, StageConfig):
        for ignored in model.ignored_keys(found):
            _remove(found, ignored)
            tell((*path, *ignored))
    return found


def _field(model: type[BaseModel], key: str, body: Mapping[str, Any]) -> str | None:
    """The field that a key means; a key in another case gives way to an exact one."""
    if key in model.model_fields:
        return key
    low = key.lower()
    return low if low in model.model_fields and low not in body else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a field, or of the values of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is dict:
        return _model_in(get_args(annotation)[1])
    return None


def _remove(found: dict[str, Any], path: tuple[str, ...]) -> None:
    *parents, last = path
    for parent in parents:
        found = found[parent]
    del found[last]
