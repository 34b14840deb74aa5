"""What does a query string or a form say? By the rules of Go's `net/url`, on bytes."""

from urllib.parse import unquote_to_bytes

from narfi.core.errors import InvalidRequestError
from narfi.core.labels import quote

FORM_TYPE = "application/x-www-form-urlencoded"
_HEX = b"0123456789abcdefABCDEF"
_HEX_PAIRS = frozenset(bytes((high, low)) for high in _HEX for low in _HEX)


class FormError(InvalidRequestError):
    """A form that cannot be taken apart; the message is Go's."""


Pairs = list[tuple[str, str]]


def parse_form(form: bytes) -> Pairs:
    """Names and values in order; raises `FormError` when any of them is badly written."""
    pairs, wrong = _parse(form)
    if wrong:
        raise FormError(wrong)
    return pairs


def parse_form_leniently(form: bytes) -> Pairs:
    """As `parse_form`, but what is badly written is left out."""
    return _parse(form)[0]


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form; parameters of the type do not matter."""
    return content_type.partition(";")[0].strip().lower() == FORM_TYPE


def _parse(form: bytes) -> tuple[Pairs, str]:
    pairs: Pairs = []
    wrong = ""
    for part in form.split(b"&"):
        if b";" in part:
            wrong = "invalid semicolon separator in query"
            continue
        if not part:
            continue
        name, _, value = part.partition(b"=")
        bad = (_bad_escape(name) or _bad_escape(value)) if b"%" in part else b""
        if bad:
            wrong = wrong or f"invalid URL escape {quote(_text(bad))}"
            continue
        pairs.append((_unescaped(name), _unescaped(value)))
    return pairs, wrong


def _bad_escape(text: bytes) -> bytes:
    """The first `%` that two hexadecimal digits do not follow, with what follows."""
    at = text.find(b"%")
    while at >= 0:
        if text[at + 1 : at + 3] not in _HEX_PAIRS:
            return text[at : at + 3]
        at = text.find(b"%", at + 3)
    return b""


def _unescaped(text: bytes) -> str:
    text = text.replace(b"+", b" ")
    return _text(unquote_to_bytes(text) if b"%" in text else text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
