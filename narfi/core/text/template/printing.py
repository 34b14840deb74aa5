"""How are values printed? By the verbs of Go's fmt; `%v` is what a template prints.

A verb that does not fit a value says so in the text: `%!d(string=x)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from narfi.core.labels import quote
from narfi.core.text.template.floats import format_float
from narfi.core.text.template.layouts import DAYS, MONTHS, STRING_LAYOUT, format_time
from narfi.core.text.template.values import (
    INVALID,
    NO_VALUE,
    Duration,
    Invalid,
    Month,
    Struct,
    TextList,
    TextMap,
    Weekday,
    basic_kind,
    to_bytes,
    type_name,
    unboxed,
)
from narfi.core.text.template.zones import LOCAL_ZONE, UTC_ZONE, Moment, Zone
from narfi.core.units import format_go_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Flags, width and precision of a verb; `sharp_v` is `%#v`, `erring` prints a complaint."""

    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    sharp_v: bool = False
    erring: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str) -> str:
        """The text at its width."""
        if self.width is None:
            return text
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")

    def pad_with_blanks(self, text: str) -> str:
        """The text at its width, never with zeros."""
        if self.width is None:
            return text
        return text.ljust(self.width) if self.minus else text.rjust(self.width)


PLAIN = Spec()


def go_text(value: object) -> str:
    """What an action prints: `%v`, and `<no value>` for none."""
    if type(value) is str:
        return value
    value = unboxed(value)
    return NO_VALUE if isinstance(value, Invalid) else print_value(value, "v", PLAIN)


def shown(value: object) -> str:
    """`%v` of a value inside others, or given to `print`."""
    return print_value(value, "v", PLAIN)


def sprint(*args: object) -> str:
    """`fmt.Sprint`: spaces between operands when neither is a string."""
    out = ""
    for place, arg in enumerate(args):
        if place and not isinstance(arg, str) and not isinstance(args[place - 1], str):
            out += " "
        out += shown(arg)
    return out


def sprintln(*args: object) -> str:
    """`fmt.Sprintln`."""
    return " ".join(shown(arg) for arg in args) + "\n"


def string_of(value: object) -> str | None:
    """What the value's own `String` method says, if it has one."""
    match value:
        case Moment():
            return format_time(STRING_LAYOUT, value)
        case Duration():
            return format_go_duration(value)
        case Month():
            return MONTHS[value - 1] if 1 <= value <= 12 else f"%!Month({int(value)})"
        case Weekday():
            return DAYS[value] if 0 <= value <= 6 else f"%!Weekday({int(value)})"
        case Zone():
            return value.name
    return None


def go_string_of(moment: Moment) -> str:
    """`Time.GoString`."""
    civil = moment.civil()
    names = {UTC_ZONE: "time.UTC", LOCAL_ZONE: "time.Local"}
    zone = names.get(moment.zone) or f"time.Location({quote(moment.zone.name)})"
    return (
        f"time.Date({civil.year}, time.{MONTHS[civil.month - 1]}, {civil.day}, {civil.hour}, "
        f"{civil.minute}, {civil.second}, {moment.ns % 10**9}, {zone})"
    )


def print_value(value: object, verb: str, spec: Spec) -> str:
    """A value by a verb."""
    value = unboxed(value)
    if isinstance(value, Invalid):
        return spec.pad("<nil>") if verb == "v" else f"%!{verb}(<nil>)"
    if not spec.erring:
        own = _by_method(value, verb, spec)
        if own is not None:
            return own
    found = _by_kind(value, verb, spec)
    return bad_verb(value, verb, spec) if found is None else found


def leaves(value: object) -> int:
    """How many values are printed for one: each at a width of its own."""
    value = unboxed(value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(1 + leaves(item) for item in value.values())
    return sum(map(leaves, value)) if isinstance(value, list) else 1


def bad_verb(value: object, verb: str, spec: Spec) -> str:
    """The complaint about a verb that does not fit; names of months and the like are numbers."""
    inner = print_value(value, "v", replace(spec, erring=True))
    return f"%!{verb}({type_name(value)}={inner})"


def _by_method(value: object, verb: str, spec: Spec) -> str | None:
    if spec.sharp_v:
        return go_string_of(value) if isinstance(value, Moment) else None
    text = string_of(value) if verb in "vsxXq" else None
    return None if text is None else _string(text, verb, spec)


def _by_kind(value: object, verb: str, spec: Spec) -> str | None:
    match basic_kind(value):
        case "bool":
            return spec.pad("true" if value else "false") if verb in "tv" else None
        case "int" | "uint":
            return _integer(value, verb, spec)  # type: ignore[arg-type]
        case "float":
            return _float(value, verb, spec)  # type: ignore[arg-type]
        case "complex":
            return _complex(value, verb, spec)  # type: ignore[arg-type]
        case "string":
            return _string(str(value), verb, spec)
    match value:
        case bytes():
            return _bytes(value, verb, spec)
        case list():
            return _list(value, verb, spec)
        case Struct():
            return "{" + " ".join(_inner(v, verb, spec) for v in value.fields.values()) + "}"
        case Mapping():
            return _map(value, verb, spec)
    return string_of(value)


def _list(value: list[object], verb: str, spec: Spec) -> str:
    if spec.sharp_v:
        inner = ", ".join(_element(item, spec) for item in value)
        if isinstance(value, TextList):
            inner = ", ".join(print_value(item, "v", spec) for item in value)
        return f"{type_name(value)}{{{inner}}}"
    return "[" + " ".join(_inner(item, verb, spec) for item in value) + "]"


def _inner(item: object, verb: str, spec: Spec) -> str:
    """A value within another: none is `<nil>` by any verb and at no width."""
    item = unboxed(item)
    return "<nil>" if item is INVALID else print_value(item, verb, spec)


def _element(item: object, spec: Spec) -> str:
    """A value held as an interface, by `%#v`."""
    item = unboxed(item)
    return "interface {}(nil)" if item is INVALID else print_value(item, "v", spec)


def _map(value: Mapping[str, object], verb: str, spec: Spec) -> str:
    keys = sorted(value, key=to_bytes)
    if spec.sharp_v:
        shows = print_value if isinstance(value, TextMap) else None
        pairs = (
            f"{_string(key, 'v', spec)}:"
            + (shows(value[key], "v", spec) if shows else _element(value[key], spec))
            for key in keys
        )
        return f"{type_name(value)}{{{', '.join(pairs)}}}"
    shown_pairs = (
        f"{print_value(key, verb, spec)}:{_inner(value[key], verb, spec)}" for key in keys
    )
    return "map[" + " ".join(shown_pairs) + "]"


_BASES = {"d": 10, "v": 10, "b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
_DIGITS = {2: "b", 8: "o", 10: "d", 16: "x"}


def _integer(value: int, verb: str, spec: Spec) -> str | None:
    number = int(value)
    if verb in _BASES:
        if verb == "v" and spec.sharp_v and basic_kind(value) == "uint":
            return _based(number, "x", replace(spec, sharp=True))
        return _based(number, verb, spec)
    rune = chr(number) if 0 <= number <= 0x10FFFF else "\ufffd"
    is_rune = 0 <= number <= 0x10FFFF
    if "\ud800" <= rune <= "\udfff":
        is_rune, rune = False, "\ufffd"
    match verb:
        case "c":
            return spec.pad(rune)
        case "q":
            return spec.pad(_quoted_rune(rune, spec))
        case "U":
            digits = f"{number & (1 << 64) - 1:X}".rjust(max(spec.precision or 0, 4), "0")
            tail = f" '{rune}'" if spec.sharp and is_rune and rune.isprintable() else ""
            return spec.pad_with_blanks(f"U+{digits}{tail}")
    return None


def _quoted_rune(rune: str, spec: Spec) -> str:
    inner = quote(rune)[1:-1]
    if spec.plus:
        inner = _ascii_quote(rune)[1:-1]
    if rune == '"':
        inner = '"'
    elif rune == "'":
        inner = "\\'"
    return f"'{inner}'"


def _based(number: int, verb: str, spec: Spec) -> str:
    """An integer in a base; a precision or a zero-filled width asks for leading zeros."""
    base = _BASES[verb]
    least = 0
    if spec.precision is not None:
        least = spec.precision
        if least == 0 and number == 0:
            return " " * (spec.width or 0)
    elif spec.zero and not spec.minus and spec.width is not None:
        least = spec.width - (number < 0 or spec.plus or spec.space)
    digits = format(abs(number), _DIGITS[base]).rjust(least, "0")
    if verb == "X":
        digits = digits.upper()
    if spec.sharp:
        if base == 8 and digits[0] != "0":
            digits = f"0{digits}"
        digits = {2: "0b", 16: "0X" if verb == "X" else "0x"}.get(base, "") + digits
    if verb == "O":
        digits = f"0o{digits}"
    sign = "-" if number < 0 else "+" if spec.plus else " " if spec.space else ""
    return spec.pad_with_blanks(sign + digits)


def _float(value: float, verb: str, spec: Spec) -> str | None:
    if verb not in "veEfFgGxXb":
        return None
    kind = "g" if verb == "v" else verb
    precision = spec.precision
    if precision is None and kind in "eEfF":
        precision = 6
    text = format_float(value, kind, precision)
    if text[0] not in "+-":
        text = f"+{text}"
    if spec.space and text[0] == "+" and not spec.plus:
        text = f" {text[1:]}"
    if text[1] in "IN":
        if text[1] == "N" and not spec.space and not spec.plus:
            text = text[1:]
        return spec.pad_with_blanks(text)
    if spec.sharp and kind != "b":
        text = _sharp_float(text, kind, -1 if precision is None else precision)
    if not spec.plus and text[0] == "+":
        return spec.pad(text[1:])
    if spec.zero and not spec.minus and spec.width is not None:
        return text[0] + text[1:].rjust(spec.width - 1, "0")
    return spec.pad(text)


def _sharp_float(text: str, kind: str, precision: int) -> str:
    """With a decimal point always; `%g` keeps its trailing zeros."""
    digits = 0
    if kind in "gGx":
        digits = 6 if precision == -1 else precision
    marks = "pP" if kind in "xX" else "eE"
    cut = next((k for k, char in enumerate(text) if char in marks), len(text))
    number, tail = text[:cut], text[cut:]
    begun = False
    for char in number[1:]:
        if char == ".":
            continue
        begun = begun or char != "0"
        digits -= begun
    if "." not in number:
        digits -= number[1:] == "0"
        number += "."
    return number + "0" * max(digits, 0) + tail


def _complex(value: complex, verb: str, spec: Spec) -> str | None:
    if verb not in "vbgGxXfFeE":
        return None
    real = _float(value.real, verb, spec)
    imaginary = _float(value.imag, verb, replace(spec, plus=True))
    return f"({real}{imaginary}i)"


def _string(value: str, verb: str, spec: Spec) -> str | None:
    cut = value if spec.precision is None else value[: spec.precision]
    match verb:
        case "v" if spec.sharp_v:
            return spec.pad(_quoted(cut, spec))
        case "v" | "s":
            return spec.pad(cut)
        case "q":
            return spec.pad(_quoted(cut, spec))
        case "x" | "X":
            return _hex(to_bytes(value), verb, spec)
    return None


def _quoted(text: str, spec: Spec) -> str:
    if spec.sharp and all(map(_stands_raw, text)):
        return f"`{text}`"
    return _ascii_quote(text) if spec.plus else quote(text)


def _stands_raw(char: str) -> bool:
    """Whether a character can stand between back quotes."""
    control = char < " " and char != "\t"
    return not (control or char in "`\x7f\ufeff" or "\udc80" <= char <= "\udcff")


def _ascii_quote(text: str) -> str:
    """`strconv.QuoteToASCII`."""
    out = []
    for char in quote(text):
        code = ord(char)
        out.append(char if code < 128 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}")
    return "".join(out)


def _hex(data: bytes, verb: str, spec: Spec) -> str:
    data = data if spec.precision is None else data[: spec.precision]
    mark = "0x" if spec.sharp else ""
    if not data:
        return spec.pad("")
    text = (f" {mark}" if spec.space else "").join(f"{byte:02x}" for byte in data)
    return spec.pad((mark + text).upper() if verb == "X" else mark + text)


def _bytes(value: bytes, verb: str, spec: Spec) -> str | None:
    match verb:
        case "v" | "d":
            if spec.sharp_v:
                return "[]byte{" + ", ".join(f"{byte:#x}" for byte in value) + "}"
            return "[" + " ".join(_based(byte, "d", spec) for byte in value) + "]"
        case "s" | "q":
            return _string(value.decode("utf-8", "surrogateescape"), verb, spec)
        case "x" | "X":
            return _hex(value, verb, spec)
    return "[" + " ".join(print_value(byte, verb, spec) for byte in value) + "]"
