"""What does `printf` print? Go's verbs and flags, and its complaints (`%!d(string=x)`)."""

import re  # our own pattern over formats

from narfi.core.labels import quote
from narfi.core.text.template.functions import MAX_TEXT
from narfi.core.text.template.values import Nothing, go_text, type_name

_VERB = re.compile(r"%([#+\- 0]*)(\d+)?(?:\.(\d*))?(.)?", re.DOTALL)


def sprintf(layout: str, *args: object) -> str:
    """`fmt.Sprintf`."""
    out: list[str] = []
    at = used = 0
    for match in _VERB.finditer(layout):
        if match.start() < at:
            continue
        out.append(layout[at : match.start()])
        at = match.end()
        flags, width, precision, verb = match.groups()
        if verb is None:
            out.append("%!(NOVERB)")
            continue
        if verb == "%":
            out.append("%")
            continue
        if used >= len(args):
            out.append(f"%!{verb}(MISSING)")
            continue
        text = _formatted(verb, flags, precision, args[used])
        used += 1
        out.append(_padded(text, flags, min(int(width or 0), MAX_TEXT), args[used - 1]))
    out.append(layout[at:])
    if used < len(args):
        extra = ", ".join(f"{type_name(a)}={go_text(a)}" for a in args[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _padded(text: str, flags: str, width: int, value: object) -> str:
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and isinstance(value, int | float):
        sign = text[:1] if text[:1] in "+-" and text else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _formatted(verb: str, flags: str, precision: str | None, value: object) -> str:
    digits = int(precision or 0) if precision is not None else None
    if verb == "v":
        return "<nil>" if isinstance(value, Nothing) else go_text(value)
    if verb == "T":
        return type_name(value)
    found: str | None = None
    if isinstance(value, bool):
        found = go_text(value) if verb == "t" else None
    elif isinstance(value, int):
        found = _integer(verb, value)
    elif isinstance(value, float):
        found = _float(verb, value, digits)
    elif isinstance(value, str):
        found = _string(verb, value, digits)
    if found is None:
        return f"%!{verb}({type_name(value)}={go_text(value)})"
    if "+" in flags and isinstance(value, int | float) and not found.startswith("-"):
        return f"+{found}"
    if " " in flags and isinstance(value, int | float) and not found.startswith("-"):
        return f" {found}"
    return found


def _integer(verb: str, value: int) -> str | None:
    match verb:
        case "d":
            return str(value)
        case "b" | "o" | "x" | "X":
            return format(value, verb)
        case "c":
            return chr(value) if 0 <= value <= 0x10FFFF else "\ufffd"
        case "U":
            return f"U+{value:04X}"
        case "q":
            return f"'{chr(value)}'" if 0 <= value <= 0x10FFFF else "'\ufffd'"
    return None


def _float(verb: str, value: float, digits: int | None) -> str | None:
    if verb in "fF":
        return f"{value:.{6 if digits is None else digits}f}"
    if verb in "eE":
        return format(value, f".{6 if digits is None else digits}{verb}")
    if verb in "gG":
        return go_text(value) if digits is None else format(value, f".{digits or 1}{verb}")
    return None


def _string(verb: str, value: str, digits: int | None) -> str | None:
    data = value if digits is None else value[:digits]
    match verb:
        case "s":
            return data
        case "q":
            return quote(data)
        case "x":
            return data.encode("utf-8", "surrogateescape").hex()
        case "X":
            return data.encode("utf-8", "surrogateescape").hex().upper()
    return None
