"""Which functions calculate? Integers wrap at 64 bits, `…f` count in decimals (logql.md §8.3)."""

import math
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation

from narfi.core.errors import AppError
from narfi.core.text.template.casts import to_float, to_int
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.values import Int64, wrap64
from narfi.core.units import parse_bytes, parse_go_duration

_DIVISION_PLACES = 16


def _add(*args: object) -> Int64:
    return Int64(wrap64(sum(to_int(arg) for arg in args)))


def _mul(first: object, *rest: object) -> Int64:
    value = to_int(first)
    for other in rest:
        value = wrap64(value * to_int(other))
    return Int64(value)


def _divided(a: object, b: object) -> tuple[int, int]:
    """Quotient towards zero, and the rest with the sign of the dividend."""
    left, right = to_int(a), to_int(b)
    if right == 0:
        raise CallError("runtime error: integer divide by zero")
    quotient = abs(left) // abs(right)
    if (left < 0) != (right < 0):
        quotient = -quotient
    return wrap64(quotient), left - quotient * right


_EXACT = Context(prec=20_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation])
"""Decimals without rounding: a chain of products with more digits is refused."""


def _decimal(value: object) -> Decimal:
    """The decimal that a float's shortest digits write."""
    number = to_float(value)
    if not math.isfinite(number):
        name = {math.inf: "+Inf", -math.inf: "-Inf"}.get(number, "NaN")
        raise CallError(f"Cannot create a Decimal from {name}")
    return Decimal(repr(number)) + 0  # no negative zero


def _chain(combine: Callable[[Decimal, Decimal], Decimal]) -> Callable[..., float]:
    def run(first: object, *rest: object) -> float:
        value = _decimal(first)
        for other in rest:
            try:
                value = combine(value, _decimal(other))
            except Inexact:
                raise CallError("decimal has too many digits") from None
        return float(value) + 0.0

    return run


def _quotient(a: Decimal, b: Decimal) -> Decimal:
    """To 16 decimal places, halves away from zero."""
    if not b:
        raise CallError("decimal division by 0")
    (upper, lower), shift = (_whole_and_exponent(a), _whole_and_exponent(b)), _DIVISION_PLACES
    power = upper[1] - lower[1] + shift
    dividend = abs(upper[0]) * 10 ** max(power, 0)
    divisor = abs(lower[0]) * 10 ** max(-power, 0)
    whole = (2 * dividend + divisor) // (2 * divisor)
    return Decimal(whole if (a < 0) == (b < 0) else -whole).scaleb(-shift, _EXACT)


def _whole_and_exponent(value: Decimal) -> tuple[int, int]:
    """(w, e) so that the value is w x 10^e."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return int(value.scaleb(-exponent, _EXACT)), exponent


def _extreme(pick: Callable[[float, float], float], wins: float) -> Callable[..., float]:
    """The largest or smallest: `wins` (an infinity) beats even NaN, and zeros have signs."""

    def run(first: object, *rest: object) -> float:
        value = to_float(first)
        for arg in rest:
            other = to_float(arg)
            if wins in (value, other):
                value = wins
            elif math.isnan(value) or math.isnan(other):
                value = math.nan
            elif value == other == 0:
                value = pick(math.copysign(1, value), math.copysign(1, other)) * 0.0
            else:
                value = pick(value, other)
        return value

    return run


def whole(value: float, towards: Callable[[float], int]) -> float:
    """Rounded to an integer; infinities, NaN and the sign of zero stay."""
    if not math.isfinite(value):
        return value
    return math.copysign(float(towards(value)), value)


def _power_of_ten(places: int) -> float:
    """10 to a power by squaring, in floats: what the recorded server multiplies by."""
    if abs(places) > 400:
        return math.inf if places > 0 else 0.0
    mantissa, exponent = 1.0, 0
    base, base_exponent = math.frexp(10.0)
    left = abs(places)
    while left:
        if left & 1:
            mantissa *= base
            exponent += base_exponent
        base *= base
        base_exponent *= 2
        if base < 0.5:
            base += base
            base_exponent -= 1
        left >>= 1
    if places < 0:
        mantissa, exponent = 1 / mantissa, -exponent
    try:
        return math.ldexp(mantissa, exponent)
    except OverflowError:
        return math.inf


def _round(value: object, places: int, *on: float) -> float:
    """Up where the fraction reaches `on`, else down; also below zero."""
    scale = _power_of_ten(places)
    digit = scale * to_float(value)
    fraction = math.modf(digit)[0] if math.isfinite(digit) else math.nan
    rounded = whole(digit, math.ceil if fraction >= (on[0] if on else 0.5) else math.floor)
    if scale == 0:
        return math.nan if rounded == 0 or math.isnan(rounded) else math.copysign(math.inf, rounded)
    return rounded / scale


def _duration(text: str) -> float:
    try:
        ns = parse_go_duration(text)
    except AppError as error:
        raise CallError(error.message) from error
    seconds = abs(ns) // 10**9
    return math.copysign(seconds + (abs(ns) - seconds * 10**9) / 1e9, ns) if ns else 0.0


def _size(text: str) -> float:
    try:
        return float(parse_bytes(text))
    except AppError as error:
        raise CallError(error.message) from error


NUMBER_FUNCTIONS: Mapping[str, Function] = {
    "int": function("any", to_int),
    "float64": function("any", to_float),
    "add": function("...any", _add),
    "sub": function("any any", lambda a, b: Int64(wrap64(to_int(a) - to_int(b)))),
    "mul": function("any ...any", _mul),
    "div": function("any any", lambda a, b: Int64(_divided(a, b)[0])),
    "mod": function("any any", lambda a, b: Int64(_divided(a, b)[1])),
    "addf": function("...any", lambda *args: _chain(_EXACT.add)(0.0, *args)),
    "subf": function("any ...any", _chain(_EXACT.subtract)),
    "mulf": function("any ...any", _chain(_EXACT.multiply)),
    "divf": function("any ...any", _chain(_quotient)),
    "max": function("any ...any", lambda *args: Int64(max(to_int(arg) for arg in args))),
    "min": function("any ...any", lambda *args: Int64(min(to_int(arg) for arg in args))),
    "maxf": function("any ...any", _extreme(max, math.inf)),
    "minf": function("any ...any", _extreme(min, -math.inf)),
    "ceil": function("any", lambda value: whole(to_float(value), math.ceil)),
    "floor": function("any", lambda value: whole(to_float(value), math.floor)),
    "round": function("any int ...float64", _round),
    "bytes": function("string", _size),
    "duration": function("string", _duration),
    "duration_seconds": function("string", _duration),
}
