"""Which value does an argument have? Constants become what the parameter wants, values must fit."""

from narfi.core.text.template import nodes as n
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.signatures import Parameter
from narfi.core.text.template.values import (
    INVALID,
    Boxed,
    Duration,
    Invalid,
    type_name,
    unboxed,
)

_EXPECTED = {"int": "integer", "float": "float", "string": "string", "bool": "bool"}


def constant_for(parameter: Parameter, node: n.Constant | n.NumberConstant | n.Nil) -> object:
    """A constant as a parameter's type; raises `CallError` with Go's text."""
    if type(node) is n.Constant and type(node.value) is parameter.values:
        return node.value
    if isinstance(node, n.Nil):
        if not parameter.takes_nil:
            raise CallError(f"cannot assign nil to {parameter.go_type}")
        return INVALID
    if parameter.kind in ("any", "value"):
        return ideal(node) if isinstance(node, n.NumberConstant) else node.value
    found = _typed(parameter, node)
    if found is not None:
        return found
    if parameter.kind not in _EXPECTED:
        raise CallError(f"can't handle {node.text()} for arg of type {parameter.go_type}")
    raise CallError(f"expected {_EXPECTED[parameter.kind]}; found {node.text()}")


def _typed(parameter: Parameter, node: n.Constant | n.NumberConstant) -> object:
    if isinstance(node, n.NumberConstant):
        if parameter.kind == "int" and node.number.integer is not None:
            number = node.number.integer
            return Duration(number) if parameter.word == "duration" else number
        return node.number.real if parameter.kind == "float" else None
    return None


def ideal(node: n.NumberConstant) -> int | float | complex:
    """A number where any type will do."""
    if node.number.value is None:
        raise CallError(f"{node.source} overflows int")
    return node.number.value


def value_for(parameter: Parameter, value: object) -> object:
    """A value for a parameter; raises `CallError` with Go's text."""
    if type(value) is parameter.values:
        return value
    if isinstance(value, Invalid):
        if not parameter.takes_nil:
            raise CallError(f"invalid value; expected {parameter.go_type}")
        return value
    if parameter.word == "value":
        return value
    inner = unboxed(value)
    if parameter.values is None or type(inner) is parameter.values:
        return inner
    shown = type_name(value) if isinstance(value, Boxed) and inner is INVALID else type_name(inner)
    raise CallError(f"wrong type for value; expected {parameter.go_type}; got {shown}")
