"""What does the chart give for some values, where there is no Helm?

The templates' language is Go's, which `narfi/core/text/template` runs for LogQL; Helm's functions
that the chart uses are here. `test_helm.py` compares with Helm itself, object by object, where that
was built.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from narfi.core.text.template.errors import CallError
from narfi.core.text.template.functions import FUNCTIONS
from narfi.core.text.template.parser import Template, parse_template
from narfi.core.text.template.render import execute_on
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.values import INVALID, Invalid, unboxed
from tests.deploy.dockerfile import ROOT

CHART = ROOT / "deploy/helm/narfi"
VALUES = Path(__file__).parent / "values"
VALUE_SETS = sorted(file.stem for file in VALUES.glob("*.yaml"))
RELEASE, NAMESPACE = "prod", "logs"
Manifest = dict[str, Any]


def values_of(name: str) -> dict[str, Any]:
    """The chart's values with those of a set over them."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    return overlaid(defaults, yaml.safe_load((VALUES / f"{name}.yaml").read_text()))


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, all else is replaced; null takes a key away."""
    found = dict(base)
    for key, value in over.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(found.get(key), Mapping):
            found[key] = overlaid(found[key], value)
        else:
            found[key] = value
    return found


def render(values: Mapping[str, Any]) -> list[Manifest]:
    """Every object; raises `TemplateExecError`, as Helm fails."""
    helpers = "".join(file.read_text() for file in sorted((CHART / "templates").glob("_*.tpl")))
    dot = _dot(values)
    found: list[Manifest] = []
    for file in sorted((CHART / "templates").glob("*.yaml")):
        text = rendered(helpers + file.read_text(), dot)
        found += [document for document in yaml.safe_load_all(text) if document]
    return found


def notes(values: Mapping[str, Any]) -> str:
    """What Helm prints after an installation."""
    helpers = "".join(file.read_text() for file in sorted((CHART / "templates").glob("_*.tpl")))
    return rendered(helpers + (CHART / "templates/NOTES.txt").read_text(), _dot(values))


def _dot(values: Mapping[str, Any]) -> dict[str, Any]:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    return {
        "Values": to_go(values),
        "Chart": {key[0].upper() + key[1:]: text for key, text in chart.items()},
        "Release": {"Name": RELEASE, "Namespace": NAMESPACE, "Service": "Helm"},
    }


def rendered(text: str, dot: dict[str, Any]) -> str:
    """One template with what is defined in it."""
    functions: dict[str, Function] = {**FUNCTIONS, **HELM}
    template = parse_template(text, "chart", frozenset({"include"}), frozenset(functions))

    def include(name: str, inner: object) -> str:
        nodes = template.definitions.get(name)
        if nodes is None:
            raise CallError(f"no template {name!r} is defined")
        part = Template(
            name=name,
            text=text,
            nodes=nodes,
            definitions=template.definitions,
            fields=frozenset(),
            reads_all=True,
            reads_line=False,
            reads_time=False,
        )
        return execute_on(part, inner, functions)

    functions["include"] = function("string any", include)
    return execute_on(template, dot, functions)


def to_go(value: object) -> Any:
    """Values as Helm has them: every number is a float64, null is nil."""
    if isinstance(value, Mapping):
        return {key: to_go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_go(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return INVALID if value is None else value


def from_go(value: object) -> Any:
    """The other way; whole numbers are printed without a point."""
    value = unboxed(value)
    if isinstance(value, Mapping):
        return {key: from_go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_go(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if isinstance(value, Invalid) else value


def _to_yaml(value: object) -> str:
    text = yaml.safe_dump(from_go(value), width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _to_json(value: object) -> str:
    """As Go writes it: keys in order, no blanks, what could end a script as numbers."""
    text = json.dumps(from_go(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _required(message: str, value: object) -> object:
    if isinstance(value, Invalid) or value == "":
        raise CallError(message)
    return value


def _dict(*pairs: object) -> dict[str, object]:
    names = [str(name) for name in pairs[::2]]
    return dict(zip(names, pairs[1::2], strict=True))


def _dig(*arguments: object) -> object:
    *path, default, found = arguments
    for key in path:
        found = unboxed(found)
        if not isinstance(found, dict) or key not in found:
            return default
        found = found[key]
    return found


def _ternary(yes: object, no: object, test: object) -> object:
    return yes if test else no


def _quoted(value: object) -> str:
    return json.dumps(str(from_go(value)), ensure_ascii=False)


HELM: dict[str, Function] = {
    "toYaml": function("any", _to_yaml),
    "toJson": function("any", _to_json),
    "quote": function("any", _quoted),
    "required": function("string any", _required),
    "dict": function("...any", _dict),
    "list": function("...any", lambda *items: list(items)),
    "dig": function("...any", _dig),
    "ternary": function("any any any", _ternary),
    "sha256sum": function("string", lambda text: hashlib.sha256(text.encode()).hexdigest()),
}


def objects_of(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of a kind."""
    return [found for found in manifests if found["kind"] == kind]


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    """What makes pods."""
    kinds = ("StatefulSet", "Deployment", "DaemonSet", "Job")
    return [found for kind in kinds for found in objects_of(manifests, kind)]


def pod_of(workload: Manifest) -> Manifest:
    """The specification of its pods."""
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec
