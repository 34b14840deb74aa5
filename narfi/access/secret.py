"""What is a token? An id that may be known, and 256 random bits that are kept as a digest only.

`narfi_<id>_<secret>`: the prefix makes one that leaked easy to find, the id finds the digest. Bits
that nobody chose cannot be guessed however fast the digest is, so it is HMAC-SHA256 with a salt of
its own (docs/adr/0022-tokens.md); a slow one would let anybody keep the server busy.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

PREFIX = "narfi"
_TOKEN = re.compile(rf"{PREFIX}_([a-z0-9]{{12}})_([A-Za-z0-9_-]{{43}})")
_DIGEST = re.compile(r"hmac-sha256:([0-9a-f]{32}):([0-9a-f]{64})")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_SALT_BYTES, _SECRET_BYTES, _ID_LENGTH = 16, 32, 12
MIN_OWN_LENGTH = 32
"""Characters of a token that was not made here: it may have been chosen rather than drawn."""
MAX_LENGTH = 512
"""Longer ones are not looked at."""
NOBODYS = f"hmac-sha256:{'0' * 32}:{'0' * 64}"
"""The digest of no token: what an id that is not known is compared with."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is sent; `repr` tells no secret."""

    token_id: str
    secret: str

    @property
    def text(self) -> str:
        """As its owner keeps it."""
        return f"{PREFIX}_{self.token_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.token_id})"


def new_token() -> Token:
    """One that never was."""
    token_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    return Token(token_id, secrets.token_urlsafe(_SECRET_BYTES))


def parse_token(text: str) -> Token | None:
    """The token of a text; None: it was not made here."""
    found = _TOKEN.fullmatch(text)
    return None if found is None else Token(*found.groups())


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"hmac-sha256:{salt.hex()}:{_hmac(salt, secret)}"


def is_digest(text: str) -> bool:
    """Whether it is written as `digest_of` does."""
    return _DIGEST.fullmatch(text) is not None


def is_of(secret: str, digest: str) -> bool:
    """Whether the digest is of the secret; takes as long for a wrong one as for the right one."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        return False
    salt, wanted = found.groups()
    return hmac.compare_digest(_hmac(bytes.fromhex(salt), secret), wanted)


def _hmac(salt: bytes, secret: str) -> str:
    return hmac.new(salt, secret.encode(), hashlib.sha256).hexdigest()
