"""Which tokens of a source are known, and whose is this one?

A text is found without a comparison that takes longer the more of it is right: by its id, which may
be known, or by a keyed digest whose key this process drew.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from narfi.access.secret import NOBODYS, Token, is_of
from narfi.core.grant import Grant

_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownToken:
    """A token that may sign in; one of `digest` and `own` is set."""

    grant: Grant
    token_id: str = ""
    digest: str = ""  # of the secret of a token that was made here
    own: str = field(default="", repr=False)  # the keyed digest of a text that was not
    expires_ns: int | None = None


class Source(Protocol):
    """Where tokens come from; called by the event loop, so it waits for nothing."""

    def find(self, text: str, token: Token | None) -> KnownToken | None:
        """Who signs in with this text (`token`: read as one of ours); None: nobody of this source.

        Raises `AppError` where that cannot be said.
        """
        ...


class KnownTokens:
    """Tokens by what finds them; never changed."""

    def __init__(self, tokens: Iterable[KnownToken] = ()) -> None:
        found = tuple(tokens)
        self._by_id = {one.token_id: one for one in found if one.digest}
        self._own = {one.own: one for one in found if one.own}

    def __len__(self) -> int:
        return len(self._by_id) + len(self._own)

    def changes_since(self, before: "KnownTokens") -> dict[str, str]:
        """What became of tokens, by `added`, `removed` and `changed`: their names, for the log."""
        now, then = self._by_key(), before._by_key()
        found = {
            "added": [now[key] for key in now.keys() - then.keys()],
            "removed": [then[key] for key in then.keys() - now.keys()],
            "changed": [now[key] for key in now.keys() & then.keys() if now[key] != then[key]],
        }
        return {
            what: ",".join(sorted(_shown(one) for one in some))
            for what, some in found.items()
            if some
        }

    def _by_key(self) -> dict[str, KnownToken]:
        return {**self._by_id, **self._own}

    def find(self, text: str, token: Token | None) -> KnownToken | None:
        """Who signs in with this text; None: nobody."""
        own = self._own.get(keyed(text)) if self._own else None
        if token is None or own is not None:
            return own
        known = self._by_id.get(token.token_id)
        if is_of(token.secret, NOBODYS if known is None else known.digest):
            return known
        return None


def _shown(one: KnownToken) -> str:
    return f"{one.grant.name}({one.token_id})" if one.token_id else one.grant.name


def keyed(text: str) -> str:
    """A digest that only this process can tell."""
    return hmac.new(_KEY, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
