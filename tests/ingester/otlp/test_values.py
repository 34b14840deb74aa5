"""How is a value of any kind written? As Go writes it."""

import math

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from ingester.otlp.values import flattened, value_text


def text(value: str) -> AnyValue:
    """A text."""
    return AnyValue(string_value=value)


def members(**values: AnyValue) -> AnyValue:
    """A map."""
    pairs = [KeyValue(key=name, value=value) for name, value in values.items()]
    return AnyValue(kvlist_value=KeyValueList(values=pairs))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AnyValue(), ""),
        (text('"as it is"'), '"as it is"'),
        (AnyValue(bool_value=True), "true"),
        (AnyValue(int_value=-5), "-5"),
        (AnyValue(double_value=0.1), "0.1"),
        (AnyValue(double_value=1e21), "1e+21"),
        (AnyValue(double_value=1e-7), "1e-7"),
        (AnyValue(double_value=-math.inf), "json: unsupported value: -Inf"),
        (AnyValue(bytes_value=b"\x00\xff"), "AP8="),
        (members(b=text('q"'), a=AnyValue(double_value=math.nan)), '{"a":null,"b":"q\\""}'),
        (
            AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(), text("x")])),
            '[1,null,"x"]',
        ),
    ],
)
def test_a_value(value: AnyValue, expected: str) -> None:
    assert value_text(value) == expected


def test_maps_are_taken_apart() -> None:
    pairs = [
        KeyValue(key="a.b", value=members(c=text("1"), d=members(e=text("2")))),
        KeyValue(key="", value=text("nameless")),
        KeyValue(key="empty", value=members()),
    ]
    assert list(flattened(pairs)) == [("a_b_c", "1"), ("a_b_d_e", "2")]
