"""What do packs look like to a Collector? A receiver a component, stages as operators.

What stages extract are attributes, what they keep of it stays: labels and metadata alike, since a
server tells index labels from metadata by its own settings (docs/packs.md). A format's operators
run where its expression is found in the body. A stage that has no operator is an error.

Files are named by `--set files=…`; in Kubernetes they are those of pods whose name begins with the
pack's.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from promtail_agent.errors import ConfigError
from promtail_agent.packs.otel_templates import choices_of
from promtail_agent.packs.otel_values import kept_by, layout_of, level_map, quoted
from promtail_agent.packs.pack import Pack, RawStages
from promtail_agent.packs.whole import DEFAULTS, yaml_text

Operators = list[dict[str, Any]]
_PODS = "/var/log/pods/*_{name}*_*/*/*.log"


def otelcol_text(packs: Sequence[Pack], given: Mapping[str, str]) -> str:
    """A whole configuration."""
    receivers: dict[str, Any] = {}
    for pack in packs:
        for component in _plain_components(pack):
            receivers[f"filelog/{pack.name}-{component}"] = _receiver(pack, component, given)
    endpoint = given.get("url", DEFAULTS["url"]).removesuffix("/loki/api/v1/push")
    return yaml_text(
        {
            "receivers": receivers,
            "exporters": {"otlphttp": {"endpoint": f"{endpoint}/otlp"}},
            "service": {
                "pipelines": {
                    "logs": {"receivers": list(receivers), "exporters": ["otlphttp"]},
                }
            },
        }
    )


def _plain_components(pack: Pack) -> list[str]:
    """Components that have a name; one for all where every format is for any."""
    found = [word for word in pack.components if "*" not in word]
    return found or ["all"]


def _receiver(pack: Pack, component: str, given: Mapping[str, str]) -> dict[str, Any]:
    in_pods = "files" not in given
    pattern = given.get("files") or _PODS.format(name=pack.name)
    found: dict[str, Any] = {
        "include": [pattern.replace("{component}", component)],
        "start_at": "beginning",
        "include_file_name": False,
        "resource": {"service.name": pack.name, "component": component},
    }
    joined = _first_lines(pack, component)
    if joined and not in_pods:
        found["multiline"] = {"line_start_pattern": joined}
    operators: Operators = [{"type": "container"}] if in_pods else []
    if joined and in_pods:
        operators.append(_recombine(joined))
    found["operators"] = [*operators, *_of_component(pack, component)]
    return found


def _recombine(first: str) -> dict[str, Any]:
    return {
        "type": "recombine",
        "combine_field": "body",
        "is_first_entry": f"body matches {quoted(first)}",
        "source_identifier": 'attributes["log.file.path"]',
    }


def _first_lines(pack: Pack, component: str) -> str:
    """What begins an entry of any of its formats, where some of them join lines."""
    firsts: list[str] = []
    joins = False
    for branch in itertools.chain.from_iterable(pack.branches(component)):
        own = [s["multiline"]["firstline"] for s in branch.stages if "multiline" in s]
        joins = joins or bool(own)
        if not own and not branch.detect:
            return ""
        firsts += own or [branch.detect]
    return "|".join(f"(?:{first})" for first in dict.fromkeys(firsts)) if joins else ""


def _of_component(pack: Pack, component: str) -> Operators:
    """A router over the formats, then each format's operators, then what all end with."""
    out: Operators = []
    end = "end"
    for number, branches in enumerate(pack.branches(component)):
        after = f"pass{number + 1}"
        routes = []
        chains: list[Operators] = []
        for place, branch in enumerate(branches):
            chain = _chain(f"p{number}f{place}", branch.stages, after)
            test = f"body matches {quoted(branch.detect)}" if branch.detect else "true"
            routes.append({"expr": test, "output": chain[0]["id"]})
            chains.append(chain)
        out.append({"type": "router", "id": f"formats{number}", "routes": routes, "default": after})
        out += [operator for chain in chains for operator in chain]
        out.append({"type": "noop", "id": after})
    return [*out, {"type": "noop", "id": end}]


def _chain(prefix: str, stages: RawStages, after: str) -> Operators:
    """One format's operators, each named; the last goes on to `after`."""
    found = [operator for stage in stages for operator in _operators(stage)]
    kept = kept_by(stages)
    found.append({"type": "retain", "fields": [*(f"attributes.{n}" for n in kept), "body"]})
    for number, operator in enumerate(found):
        operator["id"] = f"{prefix}s{number}"
    found[-1]["output"] = after
    return found


def _operators(stage: Mapping[str, Any]) -> Operators:
    [(name, body)] = stage.items()
    if name not in _FORMS:
        raise ConfigError(f"stage {name} has no form as an operator of a Collector")
    found = _FORMS[name](body or {})
    for operator in found:
        operator.setdefault("on_error", "send_quiet")
    return found


def _source(body: Mapping[str, Any]) -> str:
    return f"attributes.{body['source']}" if body.get("source") else "body"


def _if_there(body: Mapping[str, Any]) -> dict[str, Any]:
    source = body.get("source")
    return {"if": f"attributes[{quoted(source)}] != nil"} if source else {}


def _regex(body: Mapping[str, Any]) -> Operators:
    expression = body["expression"]
    return [
        {
            "type": "regex_parser",
            "regex": expression,
            "parse_from": _source(body),
            "parse_to": "attributes",
            **_if_there(body),
        }
    ]


def _parsed(kind: str, names: Mapping[str, Any], body: Mapping[str, Any]) -> Operators:
    """Values of a line that are wanted, each moved to its name, and the rest taken away."""
    scratch = "attributes._parsed"
    parser = {"type": kind, "parse_from": _source(body), "parse_to": scratch, **_if_there(body)}
    moves = [_moved(kind, name, path or name, scratch) for name, path in names.items()]
    away = {"type": "remove", "field": scratch, "if": 'attributes["_parsed"] != nil'}
    return [parser, *moves, away]


def _moved(kind: str, name: str, path: str, scratch: str) -> dict[str, Any]:
    steps = _steps(kind, path)
    at = 'attributes["_parsed"]' + "".join(f"[{quoted(part)}]" for part in steps)
    there = f'attributes["_parsed"] != nil and {at} != nil'
    if path.endswith("[0]"):  # a field of a list is reached by an expression only
        first = {"type": "add", "field": f"attributes.{name}", "value": f"EXPR({at}[0])"}
        return {**first, "if": there}
    return {
        "type": "copy",
        "from": scratch + _dotted(steps),
        "to": f"attributes.{name}",
        "if": there,
    }


def _steps(kind: str, path: str) -> list[str]:
    if kind != "json_parser":
        return [path]
    parts: list[str] = []
    quoted_part = False
    for piece in path.split('"'):
        if quoted_part:
            parts.append(piece)
        else:
            parts += [p for p in piece.replace("[0]", "").split(".") if p]
        quoted_part = not quoted_part
    return parts


def _dotted(parts: Iterable[str]) -> str:
    return "".join(f'["{part}"]' for part in parts)


def _timestamp(body: Mapping[str, Any]) -> Operators:
    return [
        {
            "type": "time_parser",
            "parse_from": _source(body),
            "layout_type": "gotime",
            "layout": layout_of(body["format"]),
            **_if_there(body),
        }
    ]


def _template(body: Mapping[str, Any]) -> Operators:
    """Templates in packs make levels of words: a table of them is a severity's mapping.

    The severity says all then: an attribute `level` with the word itself would go before it.
    """
    found = level_map(body["template"])
    if body["source"] != "level" or found is None:
        return _chosen(body)
    word, table = found
    source = {"source": "level" if word == "Value" else word}
    return [
        {
            "type": "severity_parser",
            "parse_from": _source(source),
            "mapping": table,
            "overwrite_text": True,
            **_if_there(source),
        },
        {"type": "remove", "field": "attributes.level", **_if_there({"source": "level"})},
    ]


def _chosen(body: Mapping[str, Any]) -> Operators:
    """A template that chooses between words or values: the first condition that holds says which.

    Conditions look at what was there before, so the choice is made aside and then moved.
    """
    name = body["source"]
    choices = choices_of(body["template"], name)
    if choices is None:
        raise ConfigError(f"template {body['template']} has no form as an operator of a Collector")
    aside = 'attributes["_chosen"]'
    found: Operators = [
        {
            "type": "add",
            "field": "attributes._chosen",
            "value": value,
            "if": f"{aside} == nil and {condition}",
        }
        for condition, value in choices
    ]
    there = {"if": f"{aside} != nil"}
    at = f"attributes.{name}"
    away = {"type": "remove", "field": at, **_if_there({"source": name})}
    away["if"] += f" and attributes[{quoted(name)}] == {quoted('')}"
    return [*found, {"type": "move", "from": "attributes._chosen", "to": at, **there}, away]


def _static(body: Mapping[str, Any]) -> Operators:
    return [{"type": "add", "field": f"attributes.{n}", "value": v} for n, v in body.items()]


def _renamed(body: Mapping[str, Any]) -> Operators:
    return [
        {
            "type": "copy",
            "from": f"attributes.{source}",
            "to": f"attributes.{name}",
            "if": f"attributes[{quoted(source)}] != nil",
        }
        for name, source in body.items()
        if source and source != name
    ]


def _output(body: Mapping[str, Any]) -> Operators:
    source = body["source"]
    return [
        {
            "type": "move",
            "from": f"attributes.{source}",
            "to": "body",
            "if": f"attributes[{quoted(source)}] != nil",
        }
    ]


def _drop(body: Mapping[str, Any]) -> Operators:
    sources = body.get("source") or []
    names = [sources] if isinstance(sources, str) else sources
    joined = ' + ";" + '.join(f"attributes[{quoted(name)}]" for name in names) or "body"
    there = " and ".join(f"attributes[{quoted(name)}] != nil" for name in names) or "true"
    if body.get("value") is not None:
        test = f"{joined} == {quoted(body['value'])}"
    else:
        test = f"{joined} matches {quoted(body['expression'])}"
    return [{"type": "filter", "expr": f"{there} and {test}"}]


def _nothing(_body: Mapping[str, Any]) -> Operators:
    """Joined before, by the receiver, or without a form: colours and notes stay in the text."""
    return []


def _match(body: Mapping[str, Any]) -> Operators:
    """Stages for some lines only: whatever they look for is in no other line."""
    return [operator for stage in body.get("stages", ()) for operator in _operators(stage)]


_FORMS: Mapping[str, Callable[[Any], Operators]] = {
    "cri": lambda _body: [{"type": "container"}],
    "decolorize": _nothing,
    "drop": _drop,
    "json": lambda body: _parsed("json_parser", body["expressions"], body),
    "labels": _renamed,
    "logfmt": lambda body: _parsed("key_value_parser", body["mapping"], body),
    "match": _match,
    "multiline": _nothing,
    "output": _output,
    "regex": _regex,
    "replace": _nothing,
    "static_labels": _static,
    "structured_metadata": _renamed,
    "template": _template,
    "timestamp": _timestamp,
}
