"""Which functions do the agent's templates have besides those of LogQL? (agent.md §11)

`Hash` and `Sha2Hash` hide a value; the rest is of Sprig's text functions.
"""

import hashlib
from collections.abc import Mapping

from narfi.core.text.template.functions import FUNCTIONS, Function
from narfi.core.text.template.values import go_text, is_true


def _bytes(*texts: str) -> bytes:
    return "".join(texts).encode("utf-8", "surrogateescape")


def _hash(salt: str, text: str) -> str:
    return hashlib.sha3_256(_bytes(salt, text)).hexdigest()


def _sha2_hash(salt: str, text: str) -> str:
    return hashlib.sha256(_bytes(salt, text)).hexdigest()


def _quote(value: object) -> str:
    text = go_text(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


_OWN: Mapping[str, Function] = {
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
