"""Whose is this JSON Web Token? Tokens of an identity provider, by the public keys that it shows.

Signatures are checked by PyJWT, with asymmetric algorithms only, and every token names issuer,
audience and end. Keys come from a file, or are fetched by a thread: no request waits for them, and
no token makes the server ask an address that it names.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import jwt
import orjson
import structlog

from narfi.access.grants import make_grant
from narfi.access.known import KnownToken, keyed
from narfi.access.secret import Token
from narfi.core.auth_settings import JwtSettings
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import ForbiddenError

log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Those of public keys: with a shared secret who checks a token could make one."""
LEEWAY_S = 30
"""Between the clocks of provider and server."""
FETCH_S = 600.0
"""Between two looks at the provider's keys."""
FETCH_SOON_S = 30.0
"""The same, when a token names a key that is not known: the provider may have a new one."""
TIMEOUT_S = 5.0
MAX_KEYS_BYTES = 1 << 20
DOTS = 2
"""Of a token: between header, claims and signature."""
REMEMBERED = 1000
"""Tokens whose signature was found right; the one that was seen longest ago is forgotten first."""


class KeysUnknownError(AppError):
    """The provider's keys were never heard."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("it cannot be said whose token this is: the provider's keys are not known")


class JwtTokens:
    """A `Source`; `refresh` is called by one thread, the rest by the event loop."""

    def __init__(
        self, settings: JwtSettings, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads the file of keys; raises `AppError`. Keys of an address come with `refresh`."""
        self._settings, self._seconds = settings, seconds
        self._keys: Mapping[str, jwt.PyJWK] | None = None
        self._asked_s: float | None = None
        self._wants_keys = False
        self._right: OrderedDict[str, KnownToken] = OrderedDict()
        if settings.jwks_file is not None:
            self.refresh()

    def find(self, text: str, token: Token | None) -> KnownToken | None:
        """Who signs in with this text; raises `KeysUnknownError`, and
        `ForbiddenError` for claims that give no rights."""
        if token is not None or text.count(".") != DOTS:
            return None
        place = keyed(text)
        known = self._right.get(place)
        if known is not None:
            self._right.move_to_end(place)
            return known
        claims = self._claims(text)
        if claims is None:
            return None
        known = self._known(claims)
        self._right[place] = known
        if len(self._right) > REMEMBERED:
            self._right.popitem(last=False)
        return known

    def _claims(self, text: str) -> dict[str, Any] | None:
        """What the provider says in a token; None: it is not its token, or is over."""
        if self._keys is None:
            raise KeysUnknownError
        try:
            key = self._key(jwt.get_unverified_header(text).get("kid"))
            if key is None:
                self._wants_keys = True
                return None
            found: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=ALGORITHMS,
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return found

    def _key(self, name: object) -> jwt.PyJWK | None:
        """The key of this name; without a name the only one there is."""
        keys = self._keys or {}
        if name is None and len(keys) == 1:
            return next(iter(keys.values()))
        return keys.get(name) if isinstance(name, str) else None

    def _known(self, claims: Mapping[str, Any]) -> KnownToken:
        names = self._settings
        name = claims.get(names.name_claim) or claims.get("sub")
        try:
            grant = make_grant(
                str(name or ""),
                _texts(claims.get(names.tenants_claim)),
                _texts(claims.get(names.scopes_claim)),
                str(claims.get(names.policy_claim) or ""),
            )
        except AppError as error:
            raise ForbiddenError(
                f"the provider's token gives no rights: {error.message}"
            ) from error
        return KnownToken(grant=grant, expires_ns=int((claims["exp"] + LEEWAY_S) * 1e9))

    def refresh(self) -> int:
        """Take the keys as they are now, when it is time; 1 where they were taken.

        Raises `AppError` where they cannot be read; those of before go on.
        """
        now = self._seconds()
        pause = FETCH_SOON_S if self._wants_keys or self._keys is None else FETCH_S
        if self._asked_s is not None and now - self._asked_s < pause:
            return 0
        self._asked_s, self._wants_keys = now, False
        keys = _keys_of(self._read())
        if self._keys is None or keys.keys() != self._keys.keys():
            log.info("keys of the identity provider", keys=len(keys))
        self._keys = keys
        self._right = OrderedDict()  # a key that is gone signs nobody in any more
        return 1

    def _read(self) -> bytes:
        settings = self._settings
        try:
            if settings.jwks_file is not None:
                return settings.jwks_file.read_bytes()
            with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False) as client:
                answer = client.get(settings.jwks_url)
                answer.raise_for_status()
                return answer.content
        except (OSError, httpx.HTTPError) as error:
            message = f"keys of the identity provider cannot be read: {error}"
            raise AppError(message, ErrorKind.UNAVAILABLE) from error


def _keys_of(body: bytes) -> dict[str, jwt.PyJWK]:
    """Public keys by name; others are left out."""
    try:
        listed = orjson.loads(body[:MAX_KEYS_BYTES])["keys"]
        found = [_key_of(one) for one in listed]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = "keys of the identity provider are no JWKS"
        raise AppError(message, ErrorKind.UNAVAILABLE) from error
    keys = {str(one.key_id or ""): one for one in found if one is not None}
    if not keys:
        message = "the identity provider shows no key for signatures that can be used"
        raise AppError(message, ErrorKind.UNAVAILABLE)
    return keys


def _key_of(listed: Mapping[str, Any]) -> jwt.PyJWK | None:
    if listed.get("use", "sig") != "sig" or "d" in listed:
        return None
    try:
        found = jwt.PyJWK.from_dict(dict(listed))
    except jwt.PyJWTError:
        return None
    return found if found.algorithm_name in ALGORITHMS else None


def _texts(value: object) -> Sequence[str]:
    """A list of texts, or one text of words."""
    if isinstance(value, str):
        return value.split()
    return [str(one) for one in value] if isinstance(value, list) else []
