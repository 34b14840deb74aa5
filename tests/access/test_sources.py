"""Do tokens of a file and of the catalog come, change, go, and outlive what fails?"""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from narfi.access.catalog_tokens import CatalogTokens, TokensUnknownError
from narfi.access.listed_tokens import ListedTokens
from narfi.access.secret import Token, digest_of, new_token, parse_token
from narfi.core.auth_settings import AuthSettings
from narfi.core.clock import ManualClock
from narfi.core.errors import InvalidRequestError
from narfi.core.settings import SettingsError, load_settings
from narfi.core.tenant import TenantId
from storage.catalog.base import CatalogError
from storage.catalog.tokens import TokenRow

OWN = "a-text-of-my-own-of-32-characters"
SECOND = 10**9


def listed(path: Path, text: str) -> ListedTokens:
    """The tokens of a file."""
    path.write_text(text)
    return ListedTokens(AuthSettings(enabled=True, tokens_file=path))


def test_a_file_of_tokens(tmp_path: Path) -> None:
    made = new_token()
    (tmp_path / "mounted").write_text(f"{OWN}\n")
    tokens = listed(
        tmp_path / "tokens.yaml",
        f"""
tokens:
- {{name: one, hash: "{made.token_id}:{digest_of(made.secret)}", tenants: [a], scopes: [read]}}
- {{name: two, token_file: {tmp_path}/mounted, tenants: 'a, b', scopes: 'read, write'}}
""",
    )
    first = tokens.find(made.text, made)
    second = tokens.find(OWN, parse_token(OWN))
    assert first is not None
    assert second is not None
    assert (first.grant.name, second.grant.name) == ("one", "two")
    assert second.grant.tenants == frozenset(map(TenantId, "ab"))
    assert tokens.find(new_token().text, new_token()) is None
    assert OWN not in repr(second)


def test_a_changed_file_is_read_again_and_a_bad_one_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    tokens = listed(path, f"- {{name: one, token: {OWN}, tenants: [a], scopes: [read]}}")
    assert tokens.refresh() == 0
    for number, bad in enumerate(("- {name: one", "- {name: one, token: short}", None)):
        if bad is None:
            path.unlink()
        else:
            path.write_text(bad)
            os.utime(path, ns=(number, number))
        with capture_logs() as logs:
            assert tokens.refresh() == tokens.refresh() == 0
        assert [log["log_level"] for log in logs] == ["error"]  # once
        assert tokens.find(OWN, None) is not None
    path.write_text("[]")
    assert tokens.refresh() == 1
    assert tokens.find(OWN, None) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"- {{name: x, token: {OWN}, hash: y, tenants: [a], scopes: [read]}}", "one of token"),
        ("- {name: x, tenants: [a], scopes: [read]}", "one of token"),
        ("- {name: x, token: short-secret, tenants: [a], scopes: [read]}", "has 12 characters"),
        ("- {name: x, hash: secret, tenants: [a], scopes: [read]}", "narfi token hash"),
        (f"- {{name: x, token: {OWN}, tenants: [a], scopes: [raed]}}", "'raed' is no scope"),
        (f"- {{name: x, token: {OWN}, tenants: [a]}}", "scopes"),
        (f"- {{name: x, token: {OWN}, tenants: [a], scopes: [read], toke: {OWN}}}", "toke"),
        (f"- {OWN}", "has no keys"),
        (f"{OWN}", "are a list"),
        (f"{{a: {OWN}}}", "the only key"),
        (f"- {{name: x, token: {OWN}", "not YAML"),
        ("- {name: x, token_file: /no/such, tenants: [a], scopes: [read]}", "/no/such"),
        (f"- {{name: x, token: {OWN}, tenants: [a], scopes: [read]}}\n" * 2, "two listed tokens"),
    ],
)
def test_a_wrong_file_is_told_without_its_secrets(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        listed(tmp_path / "tokens.yaml", text)
    assert told in error.value.message
    assert OWN not in error.value.message
    assert "short-secret" not in error.value.message


def test_tokens_of_the_environment_are_in_no_error_and_in_no_configuration() -> None:
    text = f'[{{"name": "x", "token": "{OWN}", "tenants": ["a"], "scopes": ["read"]}}]'
    settings = load_settings(None, {"NARFI_AUTH__TOKENS": text}, {})
    assert ListedTokens(settings.auth).find(OWN, None) is not None
    assert OWN not in str(settings.model_dump(mode="json"))
    for wrong in (f'[{{"name": "x", "tokn": "{OWN}"}}]', OWN, f'{{"{OWN}": 1}}', f"[{OWN}]"):
        with pytest.raises(SettingsError) as error:
            load_settings(None, {"NARFI_AUTH__TOKENS": wrong}, {})
        assert OWN not in str(error.value)
    with pytest.raises(SettingsError) as error:
        load_settings(None, {}, {"auth.tokens": [{"token": OWN}]})
    assert OWN not in str(error.value)


class Store:
    """A catalog that may be away."""

    def __init__(self) -> None:
        self.rows: list[TokenRow] = []
        self.version_now, self.reads, self.away = 1, 0, False

    def version(self) -> int:
        """Of the tokens."""
        if self.away:
            raise CatalogError("away")
        return self.version_now

    def tokens(self) -> list[TokenRow]:
        """All."""
        self.reads += 1
        return self.rows

    def put(self, *rows: TokenRow) -> None:
        """Other tokens."""
        self.rows, self.version_now = list(rows), self.version_now + 1


def row(token: Token, scopes: tuple[str, ...] = ("read",)) -> TokenRow:
    """Of tenant a."""
    return TokenRow(
        token_id=token.token_id,
        name="n",
        tenants=("a",),
        scopes=scopes,
        policy="",
        digest=digest_of(token.secret),
        created_ns=1,
    )


def test_tokens_of_the_catalog_come_and_go_and_are_read_when_they_changed() -> None:
    store, clock, one, two = Store(), ManualClock(0), new_token(), new_token()
    store.put(row(one))
    tokens = CatalogTokens(store, clock, 60 * SECOND)  # type: ignore[arg-type]
    assert (tokens.refresh(), tokens.refresh(), store.reads) == (1, 0, 1)
    assert tokens.find(one.text, one) is not None
    assert tokens.find(two.text, two) is None
    store.put(row(two), row(new_token(), ("of-a-later-version",)))
    with capture_logs() as logs:
        tokens.refresh()
    assert [log["event"] for log in logs] == ["a token cannot be used"]
    assert tokens.find(one.text, one) is None
    assert tokens.find(two.text, two) is not None


def test_in_an_outage_known_tokens_go_on_for_a_bounded_time() -> None:
    store, clock, one = Store(), ManualClock(0), new_token()
    store.put(row(one))
    tokens = CatalogTokens(store, clock, 60 * SECOND)  # type: ignore[arg-type]
    tokens.refresh()
    store.away = True
    clock.advance(60 * SECOND)
    with pytest.raises(CatalogError):
        tokens.refresh()
    assert tokens.find(one.text, one) is not None
    clock.advance(1)
    with pytest.raises(TokensUnknownError, match=r"auth\.outage_grace"):
        tokens.find(one.text, one)
    assert tokens.find(OWN, None) is None  # a text that is none of ours is of another source
    store.away = False
    tokens.refresh()
    assert tokens.find(one.text, one) is not None


def test_before_the_catalog_was_heard_nobody_is_known() -> None:
    tokens = CatalogTokens(Store(), ManualClock(0), 60 * SECOND)  # type: ignore[arg-type]
    with pytest.raises(TokensUnknownError):
        tokens.find(new_token().text, new_token())
