"""How is an OTLP value written? Plain scalars, JSON for maps and lists, base64 for bytes."""

import base64
import json
import math
from collections.abc import Iterable, Iterator

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ingester.metadata_names import normalise_name


def value_text(value: AnyValue) -> str:
    """The text of a body or an attribute."""
    match value.WhichOneof("value"):
        case None:
            return ""
        case "string_value":
            return value.string_value
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return _number(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case _:
            return _json(value)


def _json(value: AnyValue) -> str:
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: AnyValue) -> object:
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
        case "int_value":
            return value.int_value
        case "bool_value":
            return value.bool_value
        case "double_value":
            number = value.double_value
            return int(number) if number.is_integer() and abs(number) < 1e21 else number
        case None:
            return None
        case _:
            return value_text(value)


def _number(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return json.dumps(value)
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def flattened(attributes: Iterable[KeyValue], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of attributes; maps are taken apart, `parent_child`."""
    for pair in attributes:
        name = f"{prefix}_{pair.key}" if prefix else pair.key
        if pair.value.WhichOneof("value") == "kvlist_value":
            yield from flattened(pair.value.kvlist_value.values, name)
        else:
            yield normalise_name(name), value_text(pair.value)
