"""How is an OTLP value written? Plain scalars, JSON for maps and lists, base64 for bytes."""

import base64
import json
import math
from collections.abc import Iterable, Iterator

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ingester.metadata_names import normalise_name
from narfi.core.errors import InvalidRequestError


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
    """JSON as Go writes it: sorted names, numbers in their shortest form, U+2028 escaped."""
    match value.WhichOneof("value"):
        case "array_value":
            return f"[{','.join(map(_json, value.array_value.values))}]"
        case "kvlist_value":
            members = {pair.key: pair.value for pair in value.kvlist_value.values}
            inside = (f"{_quoted(name)}:{_json(members[name])}" for name in sorted(members))
            return f"{{{','.join(inside)}}}"
        case "string_value" | "bytes_value":
            return _quoted(value_text(value))
        case None:
            return "null"
        case "double_value" if not math.isfinite(value.double_value):
            return "null"  # JSON has no such number
        case _:
            return value_text(value)


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _number(value: float) -> str:
    """Digits only, from 1e-6 up to 1e21; else with an exponent of as few digits as possible."""
    if not math.isfinite(value):
        text = "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
        return f"json: unsupported value: {text}"
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return np.format_float_positional(value, trim="-")
    mantissa, _, exponent = np.format_float_scientific(value, trim="-").partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"


def flattened(attributes: Iterable[KeyValue], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of attributes; maps are taken apart, `parent_child`; no name, no attribute."""
    for pair in attributes:
        if not pair.key:
            continue
        name = f"{prefix}_{pair.key}" if prefix else pair.key
        if pair.value.WhichOneof("value") == "kvlist_value":
            yield from flattened(pair.value.kvlist_value.values, name)
        else:
            yield _normalised(name), value_text(pair.value)


def _normalised(name: str) -> str:
    try:
        return normalise_name(name)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"symbolizer lookup: {error.message}") from error
