"""Where does a number of a query end, and is it well written? By the rules of a Go scanner.

A number that is badly written still is one token; what is wrong with it is told when it is used.
"""

from dataclasses import dataclass

from narfi.core.units import UnitError, parse_float

_BASES = {"x": (16, "hexadecimal"), "o": (8, "octal"), "b": (2, "binary")}
_DIGITS = "0123456789"
_HEX_DIGITS = _DIGITS + "abcdefABCDEF"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written: its value, or why it has none."""

    text: str
    value: float
    wrong_value: str
    """What a conversion to a float says; empty when there is a value."""
    wrong_form: str
    """What a Go scanner says of the literal; empty when it is well-formed."""


def scan_number(text: str, start: int) -> Number:
    """The number that begins at `start`."""
    base, name, at = 10, "decimal", start
    letter = text[at + 1 : at + 2].lower()
    if text[at] == "0" and letter in _BASES:
        (base, name), at = _BASES[letter], at + 2
    elif text[at] == "0":
        base, name = 8, "octal"  # until a point or an exponent shows that it is none
    digits = _HEX_DIGITS if base == 16 else _DIGITS
    first = at
    at = _run(text, at, digits + "_")
    whole_end = at
    is_float = text[at : at + 1] == "." and letter not in ("o", "b")
    if is_float:
        at = _run(text, at + 1, digits + "_")
    wrong = "" if text[first:at].strip("._") else f"{name} literal has no digits"
    if text[at : at + 1] in (("p", "P") if base == 16 else ("e", "E")):
        is_float, at = True, at + 1
        if text[at : at + 1] in ("+", "-"):
            at += 1
        exponent = at
        at = _run(text, at, _DIGITS + "_")
        if not text[exponent:at].strip("_"):
            wrong = wrong or "exponent has no digits"
    elif base == 16 and is_float:
        wrong = wrong or "hexadecimal mantissa requires a 'p' exponent"
    if not is_float and base < 10:
        bad = [digit for digit in text[first:whole_end] if digit in _DIGITS[base:]]
        if bad:
            wrong = wrong or f"invalid digit '{bad[0]}' in {name} literal"
    found = text[start:at]
    if not wrong and not _separated(found):
        wrong = "'_' must separate successive digits"
    try:
        return Number(found, parse_float(found), "", wrong)
    except UnitError as error:
        return Number(found, 0.0, error.message, wrong)


def _run(text: str, at: int, chars: str) -> int:
    while at < len(text) and text[at] in chars:
        at += 1
    return at


def _separated(text: str) -> bool:
    """Whether each underscore stands between digits, or behind the prefix of a base."""
    for place, char in enumerate(text):
        if char == "_":
            before, after = text[place - 1 : place], text[place + 1 : place + 2]
            prefixed = place == 2 and text[:2].lower() in ("0x", "0o", "0b")
            if not after or after not in _HEX_DIGITS or not (prefixed or before in _HEX_DIGITS):
                return False
    return True
