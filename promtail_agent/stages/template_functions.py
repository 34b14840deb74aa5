"""Which functions do the agent's templates have besides those of LogQL? (agent.md §11)

`Hash` and `Sha2Hash` hide a value; the rest is of Sprig's text functions.
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping

from narfi.core.regex import compile_regex
from narfi.core.text.template.functions import FUNCTIONS, Function
from narfi.core.text.template.values import go_text, is_true
from promtail_agent.entry import valid_text


def _bytes(*texts: str) -> bytes:
    return "".join(texts).encode("utf-8", "surrogateescape")


def _hash(salt: str, text: str) -> str:
    return hashlib.sha3_256(_bytes(salt, text)).hexdigest()


def _sha2_hash(salt: str, text: str) -> str:
    return hashlib.sha256(_bytes(salt, text)).hexdigest()


def _quote(value: object) -> str:
    text = go_text(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _abbrev(width: int, text: str) -> str:
    return text if width < 4 or len(text) <= width else text[: width - 3] + "..."


def _words(text: str) -> list[str]:
    """Words of names such as `http_server`, `HTTPServer`, `first-name`."""
    words: list[str] = []
    for k, char in enumerate(text):
        after_lower = k > 0 and char.isupper() and not text[k - 1].isupper()
        last_upper = k > 0 and char.isupper() and text[k + 1 : k + 2].islower()
        if not char.isalnum():
            words.append("")
        elif not words or after_lower or last_upper:
            words.append(char)
        else:
            words[-1] += char
    return [word for word in words if word]


def _untitle(text: str) -> str:
    return " ".join(word[:1].lower() + word[1:] for word in text.split(" "))


def _found(pattern: str, text: str) -> str:
    match = compile_regex(pattern).search(valid_text(text))
    return "" if match is None else match.group(0)


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


_SPRIG: Mapping[str, Function] = {
    "abbrev": _abbrev,
    "adler32sum": lambda text: str(zlib.adler32(_bytes(text))),
    "atoi": _whole_number,
    "b32dec": lambda text: base64.b32decode(text).decode("utf-8", "surrogateescape"),
    "b32enc": lambda text: base64.b32encode(_bytes(text)).decode(),
    "camelcase": lambda text: "".join(w[:1].upper() + w[1:] for w in _words(text)),
    "first": lambda items: items[0] if items else None,
    "has": lambda needle, items: needle in items,
    "initials": lambda text: "".join(word[:1] for word in text.split()),
    "join": lambda separator, items: separator.join(go_text(item) for item in items),
    "kebabcase": lambda text: "-".join(w.lower() for w in _words(text)),
    "last": lambda items: items[-1] if items else None,
    "list": lambda *items: list(items),
    "plural": lambda one, many, count: one if count == 1 else many,
    "regexFind": _found,
    "regexMatch": lambda p, text: compile_regex(p).search(valid_text(text)) is not None,
    "reverse": lambda items: list(reversed(items)),
    "sha512sum": lambda text: hashlib.sha512(_bytes(text)).hexdigest(),
    "snakecase": lambda text: "_".join(w.lower() for w in _words(text)),
    "sortAlpha": lambda items: sorted(go_text(item) for item in items),
    "splitList": lambda separator, text: text.split(separator),
    "swapcase": lambda text: text.swapcase(),
    "toString": go_text,
    "trimall": lambda chars, text: text.strip(chars),
    "uniq": lambda items: list(dict.fromkeys(items)),
    "untitle": _untitle,
}
_OWN: Mapping[str, Function] = {
    **_SPRIG,
    "Hash": _hash,
    "Sha2Hash": _sha2_hash,
    "sha1sum": lambda text: hashlib.sha1(_bytes(text), usedforsecurity=False).hexdigest(),
    "sha256sum": lambda text: hashlib.sha256(_bytes(text)).hexdigest(),
    "quote": _quote,
    "squote": lambda value: f"'{go_text(value)}'",
    "nospace": lambda text: "".join(text.split()),
    "coalesce": lambda *values: next((v for v in values if is_true(v)), ""),
    "ternary": lambda yes, no, test: yes if is_true(test) else no,
    "empty": lambda value: not is_true(value),
    "cat": lambda *values: " ".join(go_text(value) for value in values),
}
AGENT_FUNCTIONS = frozenset(_OWN)
ALL_FUNCTIONS: Mapping[str, Function] = {**FUNCTIONS, **_OWN}
