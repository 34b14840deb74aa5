"""Who is let in by which header, and what do the others learn?"""

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from narfi.access import failures
from narfi.access.known import KnownToken, KnownTokens, keyed
from narfi.access.secret import Token, digest_of, new_token
from narfi.access.sign_in import NotSignedInError, SignIn, TooManySignInsError, credentials
from narfi.core.auth import NoTenantError, Tenancy
from narfi.core.clock import ManualClock
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import ANYBODY, ForbiddenError, Grant, Scope
from narfi.core.tenant import TenantId

READ, WRITE = frozenset((Scope.READ,)), frozenset((Scope.WRITE,))
OWN = "a-text-of-my-own-of-32-characters"


def grant(*tenants: str) -> Grant:
    """A grant to read."""
    return Grant(name="g", tenants=frozenset(map(TenantId, tenants)), scopes=READ)


@dataclass
class Listed:
    """A source of some tokens."""

    known: KnownTokens
    trouble: AppError | None = None

    def find(self, text: str, token: Token | None) -> KnownToken | None:
        """Who signs in."""
        if self.trouble is not None:
            raise self.trouble
        return self.known.find(text, token)


@dataclass
class Seconds:
    """A clock that is told."""

    now: float = field(default=0.0)

    def __call__(self) -> float:
        return self.now


MADE = new_token()
KNOWN = KnownTokens(
    [
        KnownToken(
            grant=grant("a"),
            token_id=MADE.token_id,
            digest=digest_of(MADE.secret),
            expires_ns=1000,
        ),
        KnownToken(grant=grant("a", "b"), own=keyed(OWN)),
    ]
)


def basic(user: str, password: str) -> str:
    """A header of Basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def numbered() -> Iterator[str]:
    """Names of cases: tokens are others in each process that collects the tests."""
    return map(str, itertools.count())


@pytest.fixture
def seconds() -> Seconds:
    """At 0."""
    return Seconds()


@pytest.fixture
def clock() -> ManualClock:
    """Before the token expires."""
    return ManualClock(999)


@pytest.fixture
def sign_in(clock: ManualClock, seconds: Seconds) -> SignIn:
    """Two tokens are known."""
    return SignIn((Listed(KNOWN),), clock, seconds)


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {MADE.text}",
        f"bearer   {MADE.text} ",
        basic("anybody", MADE.text),
        basic("", MADE.text),
        f"Bearer {OWN}",
        basic("x", OWN),
    ],
    ids=numbered(),
)
def test_forms_that_are_let_in(sign_in: SignIn, header: str) -> None:
    assert sign_in.grant(header, "1.2.3.4", READ).name == "g"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        f"Token {MADE.text}",
        MADE.text,
        f"Bearer {MADE.text}x",
        f"Bearer {MADE.text[:-1]}",
        f"Bearer {MADE.text.upper()}",
        f"Bearer narfi_{MADE.token_id}_{new_token().secret}",
        f"Bearer {new_token().text}",
        f"Bearer {OWN[:-1]}",
        f"Bearer {digest_of(MADE.secret)}",
        f"Bearer {keyed(OWN)}",
        basic(MADE.text, ""),
        basic("x", "y"),
        f"Basic {MADE.text}",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Bearer " + "x" * 100_000,
        f"Bearer {MADE.text}\r\nX-Scope-OrgID: b",
    ],
    ids=numbered(),
)
def test_forms_that_are_not(sign_in: SignIn, header: str) -> None:
    with pytest.raises(NotSignedInError) as error:
        sign_in.grant(header, "1.2.3.4", READ)
    assert error.value.message == "the token is not known"


def test_no_header_is_told(sign_in: SignIn) -> None:
    with pytest.raises(NotSignedInError, match="a token is required"):
        sign_in.grant("", "1.2.3.4", READ)


def test_where_nobody_signs_in_everybody_is_let_in() -> None:
    assert SignIn((), ManualClock(0)).grant("", "1.2.3.4", WRITE) is ANYBODY


def test_a_scope_that_was_not_given(sign_in: SignIn) -> None:
    with pytest.raises(ForbiddenError, match="has not the scope write"):
        sign_in.grant(f"Bearer {OWN}", "1.2.3.4", WRITE)
    assert sign_in.grant(f"Bearer {OWN}", "1.2.3.4", READ | WRITE).name == "g"
    assert sign_in.grant(f"Bearer {OWN}", "1.2.3.4", frozenset()).name == "g"


def test_an_expired_token(sign_in: SignIn, clock: ManualClock) -> None:
    sign_in.grant(f"Bearer {MADE.text}", "1.2.3.4", READ)
    clock.advance(1)
    with pytest.raises(NotSignedInError, match="has expired"):
        sign_in.grant(f"Bearer {MADE.text}", "1.2.3.4", READ)


def test_wrong_tokens_are_bounded_by_address(sign_in: SignIn, seconds: Seconds) -> None:
    def wrong(address: str) -> str:
        with pytest.raises(AppError) as error:
            sign_in.grant("Bearer nonsense", address, READ)
        return error.value.kind.value

    with capture_logs() as logs:
        answers = [wrong("1.2.3.4") for _ in range(failures.MOST + 5)]
    assert answers == ["unauthenticated"] * failures.MOST + ["rate_limited"] * 5
    assert len(logs) == failures.MOST  # the rest costs no line
    assert wrong("5.6.7.8") == "unauthenticated"
    assert sign_in.grant(f"Bearer {OWN}", "1.2.3.4", READ).name == "g"  # a right one is let in
    seconds.now += 60
    assert wrong("1.2.3.4") == "unauthenticated"


def test_addresses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MOST_ADDRESSES", 3)
    found = failures.FailedSignIns(lambda: 0.0)
    for number in range(10):
        assert not found.is_too_many(str(number))
    assert len(found._left) == 3


def test_a_429_says_when_to_come_again() -> None:
    assert TooManySignInsError("x").retry_after_s == failures.RETRY_AFTER_S


def test_the_log_tells_no_secret(sign_in: SignIn) -> None:
    other = Token(MADE.token_id, new_token().secret)
    with capture_logs() as logs, pytest.raises(NotSignedInError) as error:
        sign_in.grant(f"Bearer {other.text}", "1.2.3.4", READ)
    assert logs[0]["token_id"] == MADE.token_id
    assert other.secret not in str(logs) + str(error.value)


def test_a_source_in_trouble_matters_where_no_other_one_knows(clock: ManualClock) -> None:
    trouble = AppError("away", ErrorKind.UNAVAILABLE)
    sign_in = SignIn((Listed(KnownTokens(), trouble), Listed(KNOWN)), clock)
    assert sign_in.grant(f"Bearer {OWN}", "1.2.3.4", READ).name == "g"
    with pytest.raises(AppError, match="away"):
        sign_in.grant(f"Bearer {new_token().text}", "1.2.3.4", READ)


def test_credentials() -> None:
    assert credentials("Basic " + base64.b64encode("ü:a:b".encode()).decode()) == ("ü", "a:b")


TENANCY = Tenancy("header")


@pytest.mark.parametrize(
    ("granted", "header", "found"),
    [
        (grant("a"), "", ("a",)),
        (grant("a"), "a", ("a",)),
        (grant("a", "b"), "b|a", ("a", "b")),
        (grant("a", "b"), "b|a:k=v", ("a", "b")),
        (ANYBODY, "x", ("x",)),
        (replace(grant("a", "b"), user="b"), "", ("b",)),
    ],
)
def test_tenants_of_a_grant(granted: Grant, header: str, found: tuple[str, ...]) -> None:
    headers = {"x-scope-orgid": header} if header else {}
    assert TENANCY.tenants(headers, granted) == found


@pytest.mark.parametrize(
    ("granted", "header", "kind"),
    [
        (grant("a"), "b", ForbiddenError),
        (grant("a"), "a|b", ForbiddenError),
        (grant("a"), "b|a", ForbiddenError),
        (grant("a"), "A", ForbiddenError),
        (grant("a"), "b:a=a", ForbiddenError),
        (grant("a"), ":a", ForbiddenError),
        (grant("a"), "a|", ForbiddenError),
        (grant("a"), "a*", ForbiddenError),
        (grant(), "fake", ForbiddenError),
        (grant("a"), "../a", InvalidRequestError),
        (grant("a", "b"), "", InvalidRequestError),
        (ANYBODY, "", NoTenantError),
    ],
)
def test_tenants_that_are_not(granted: Grant, header: str, kind: type[AppError]) -> None:
    headers = {"x-scope-orgid": header} if header else {}
    with pytest.raises(kind):
        TENANCY.tenants(headers, granted)


def test_the_only_tenant_is_granted_too() -> None:
    single = Tenancy("single")
    assert single.tenants({}, grant("fake")) == ("fake",)
    with pytest.raises(ForbiddenError, match="not for tenant 'fake'"):
        single.tenants({"x-scope-orgid": "a"}, grant("a"))
