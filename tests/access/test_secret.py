"""Are tokens drawn, read, digested and compared as they should be?"""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.access import secret
from narfi.access.secret import Token, digest_of, is_digest, is_of, new_token, parse_token


def test_a_token_has_256_random_bits_and_tells_its_id() -> None:
    made = [new_token() for _ in range(50)]
    assert len({one.secret for one in made}) == len({one.token_id for one in made}) == 50
    assert all(parse_token(one.text) == one for one in made)
    assert all(len(one.secret) == 43 for one in made)  # 32 bytes in Base64
    assert made[0].secret not in repr(made[0])


@pytest.mark.parametrize("change", [str.upper, lambda t: t + "x", lambda t: t[1:], lambda t: ""])
def test_another_text_is_no_token(change: "object") -> None:
    assert callable(change)
    assert parse_token(change(new_token().text)) is None


@given(st.text(max_size=60))
def test_a_digest_is_of_its_secret_alone(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    digest = digest_of(text)
    assert is_digest(digest)
    assert is_of(text, digest)
    assert not is_of(text + "x", digest)
    assert digest_of(text) != digest  # salted


def test_a_digest_is_a_salted_hmac() -> None:
    digest = digest_of("s")
    _, salt, found = digest.split(":")
    assert found == hmac.new(bytes.fromhex(salt), b"s", hashlib.sha256).hexdigest()
    assert "s" not in found


@pytest.mark.parametrize("text", ["", "hmac-sha256:", "hmac-sha256:00:00", "md5:1:2", "x" * 110])
def test_what_is_no_digest_is_of_nothing(text: str) -> None:
    assert not is_digest(text)
    assert not is_of("s", text)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the library's function, also where the id is not known."""
    compared: list[tuple[str, str]] = []

    def compare(left: str, right: str) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert is_of("s", digest_of("s"))
    assert not is_of("s", secret.NOBODYS)
    assert len(compared) == 2


def test_a_token_is_not_changed() -> None:
    with pytest.raises(AttributeError):
        Token("a", "b").secret = "c"  # type: ignore[misc]
