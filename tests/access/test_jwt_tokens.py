"""Whose tokens of an identity provider are taken, and which ones only look like that?"""

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from narfi.access import jwt_tokens
from narfi.access.jwt_tokens import JwtTokens, KeysUnknownError
from narfi.access.secret import new_token
from narfi.access.sign_in import NotSignedInError, SignIn
from narfi.core.auth_settings import JwtSettings
from narfi.core.clock import ManualClock, SystemClock
from narfi.core.errors import AppError
from narfi.core.grant import ForbiddenError, Scope
from narfi.core.settings import SettingsError, load_settings

RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ISSUER, AUDIENCE = "https://id.example.com", "narfi"
READ = frozenset((Scope.READ,))


def shown(key: Any, name: str, algorithm: str) -> dict[str, Any]:
    """A public key as a provider shows it."""
    found: dict[str, Any] = json.loads(
        jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key())
    )
    return found | {"kid": name, "alg": algorithm, "use": "sig"}


KEYS = [shown(RSA, "rsa", "RS256"), shown(EC, "ec", "ES256"), shown(ED, "ed", "EdDSA")]


def settings(folder: Path, keys: list[dict[str, Any]], **more: str) -> JwtSettings:
    """Of a file of keys."""
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))
    return JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_file=path, **more)


def claims(**more: Any) -> dict[str, Any]:
    """Of Ann, who may read of two tenants."""
    found = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 600,
        "sub": "ann",
        "tenants": ["a", "b"],
        "scopes": "read delete",
    }
    return {name: value for name, value in (found | more).items() if value is not None}


def signed(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", **more: Any) -> str:
    """A token."""
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**more), key, algorithm, headers=headers)


@pytest.fixture
def tokens(tmp_path: Path) -> JwtTokens:
    """Of three keys."""
    return JwtTokens(settings(tmp_path, KEYS))


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")]
)
def test_a_token_becomes_a_grant(tokens: JwtTokens, key: Any, algorithm: str, kid: str) -> None:
    for _ in range(2):  # the second time it is remembered
        known = tokens.find(signed(key, algorithm, kid), None)
        assert known is not None
        assert known.grant.name == "ann"
        assert sorted(known.grant.tenants or ()) == ["a", "b"]
        assert known.grant.scopes == {Scope.READ, Scope.DELETE}


def test_a_policy_and_claims_of_other_names(tmp_path: Path) -> None:
    found = JwtTokens(
        settings(tmp_path, KEYS, tenants_claim="groups", scopes_claim="scp", name_claim="email")
    )
    text = signed(groups="team-a", scp=["read"], email="ann@x", policy='{namespace="a"}')
    known = found.find(text, None)
    assert known is not None
    assert (known.grant.name, [str(t) for t in known.grant.tenants or ()]) == ("ann@x", ["team-a"])
    assert len(known.grant.streams) == 1


def unsigned() -> str:
    """Its header says that there is no signature."""
    return jwt.encode(claims(), "", "none", headers={"kid": "rsa"})


def confused() -> str:
    """Signed with the public key as a shared secret."""
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = ({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims())
    told = b".".join(_encoded(json.dumps(part).encode()) for part in parts)
    signature = hmac.new(public, told, "sha256").digest()
    return f"{told.decode()}.{_encoded(signature).decode()}"


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def changed() -> str:
    """Of Ann, who writes another tenant into it."""
    head, _, signature = signed().split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(tenants="*")).encode()).rstrip(b"=")
    return f"{head}.{body.decode()}.{signature}"


@pytest.mark.parametrize(
    "make",
    [
        unsigned,
        confused,
        changed,
        lambda: signed(OTHER),
        lambda: signed(kid="no-such"),
        lambda: signed(kid=None),
        lambda: signed(kid="ec"),
        lambda: signed(RSA, "RS512"),
        lambda: signed(RSA, "PS256"),
        lambda: signed(exp=int(time.time()) - 60),
        lambda: signed(exp=None),
        lambda: signed(exp="never"),
        lambda: signed(nbf=int(time.time()) + 600),
        lambda: signed(iss="https://evil.example"),
        lambda: signed(iss=None),
        lambda: signed(aud="other"),
        lambda: signed(aud=None),
        lambda: signed()[:-2],
        lambda: "a.b.c",
        lambda: "..",
        lambda: "é.é.é",
        lambda: signed() + "." + signed(),
    ],
)
def test_tokens_that_are_not_taken(tokens: JwtTokens, make: Callable[[], str]) -> None:
    assert tokens.find(make(), None) is None
    sign_in = SignIn((tokens,), SystemClock())
    with pytest.raises(NotSignedInError):
        sign_in.grant(f"Bearer {make()}", "1.2.3.4", READ)


def test_our_own_tokens_are_of_other_sources(tokens: JwtTokens) -> None:
    made = new_token()
    assert tokens.find(made.text, made) is None


@pytest.mark.parametrize(
    "more",
    [
        {"scopes": None},
        {"scopes": "other"},
        {"tenants": None},
        {"tenants": "a/b"},
        {"scopes": "write", "policy": '{a="b"}'},
        {"policy": "{"},
        {"sub": "a\nb"},
        {"sub": None},
    ],
)
def test_claims_that_give_no_rights(tokens: JwtTokens, more: dict[str, Any]) -> None:
    with pytest.raises(ForbiddenError, match="gives no rights"):
        tokens.find(signed(**more), None)


def test_an_end_is_kept_while_it_is_remembered(tokens: JwtTokens) -> None:
    clock = ManualClock(time.time_ns())
    sign_in = SignIn((tokens,), clock)
    text = signed()
    assert sign_in.grant(f"Bearer {text}", "1.2.3.4", READ).name == "ann"
    clock.advance((600 + jwt_tokens.LEEWAY_S) * 10**9)
    with pytest.raises(NotSignedInError, match="has expired"):
        sign_in.grant(f"Bearer {text}", "1.2.3.4", READ)


def test_no_token_says_where_its_key_is(tokens: JwtTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the server asks nobody for a token")

    monkeypatch.setattr(jwt_tokens.httpx, "Client", refuse)  # type: ignore[attr-defined]
    other = shown(OTHER, "other", "RS256")
    headers = {"kid": "other", "jku": "https://evil.example/jwks", "jwk": other, "x5u": "https://e"}
    assert tokens.find(jwt.encode(claims(), OTHER, "RS256", headers=headers), None) is None


class Seconds:
    """A clock that is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_keys_are_taken_up_and_given_up(tmp_path: Path) -> None:
    seconds = Seconds()
    found = settings(tmp_path, KEYS[:1])
    tokens = JwtTokens(found, seconds)
    assert found.jwks_file is not None
    text = signed(EC, "ES256", "ec")
    assert tokens.find(signed(), None) is not None
    assert tokens.find(text, None) is None
    found.jwks_file.write_text(json.dumps({"keys": KEYS[1:]}))
    assert tokens.refresh() == 0  # not again at once, whatever tokens say
    seconds.now += jwt_tokens.FETCH_SOON_S
    assert tokens.refresh() == 1
    assert tokens.find(text, None) is not None
    assert tokens.find(signed(), None) is None
    for bad in ("nonsense", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "eA"}]}'):
        found.jwks_file.write_text(bad)
        seconds.now += jwt_tokens.FETCH_S
        with pytest.raises(AppError):
            tokens.refresh()
        assert tokens.find(text, None) is not None


def test_shared_and_private_keys_are_no_keys(tmp_path: Path) -> None:
    secret = {"kty": "oct", "kid": "s", "alg": "HS256", "k": base64.b64encode(b"x" * 32).decode()}
    private = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(RSA)) | {"kid": "rsa"}
    tokens = JwtTokens(settings(tmp_path, [secret, private, KEYS[1], KEYS[2]]))
    assert tokens.find(signed(), None) is None
    forged = jwt.encode(claims(), b"x" * 32, "HS256", headers={"kid": "s"})
    assert tokens.find(forged, None) is None


def test_what_is_remembered_is_bounded(tokens: JwtTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt_tokens, "REMEMBERED", 3)
    for number in range(8):
        tokens.find(signed(ED, "EdDSA", "ed", jti=str(number)), None)
    assert len(tokens._right) == 3


def test_before_keys_are_known_nobody_is() -> None:
    tokens = JwtTokens(JwtSettings(issuer=ISSUER, audience="a", jwks_url="https://127.0.0.1:1/"))
    with pytest.raises(KeysUnknownError):
        tokens.find(signed(), None)
    with pytest.raises(AppError, match="cannot be read"):
        tokens.refresh()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"issuer": "x"}, "needs audience"),
        ({"issuer": "x", "audience": "y"}, "one of jwks_url"),
        ({"issuer": "x", "audience": "y", "jwks_url": "http://z"}, "https://"),
    ],
)
def test_settings_go_together(given: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load_settings(None, {}, {f"auth.jwt.{key}": value for key, value in given.items()})
