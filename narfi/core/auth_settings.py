"""Who may sign in? Whether tokens are needed, and those that stand in a file or the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from narfi.core.setting_types import SECRET, DurationNs, Secret, SettingsModel, names_of


class TokenSetting(BaseModel):
    """One token; what it may do is checked where it is made a grant of."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=100)
    token: Secret = ""
    token_file: Path | None = None
    hash: Secret = ""
    tenants: Annotated[tuple[str, ...], BeforeValidator(names_of)]
    scopes: Annotated[tuple[str, ...], BeforeValidator(names_of)]
    policy: str = ""


def token_settings(content: object) -> tuple[TokenSetting, ...]:
    """Tokens of a list, or of a mapping with the key `tokens`; `ValueError` tells no secret."""
    if isinstance(content, Mapping):
        if set(content) != {"tokens"}:
            raise ValueError("the only key is `tokens`")
        content = content["tokens"]
    if content is None:
        return ()
    if not isinstance(content, list | tuple):
        raise ValueError("tokens are a list")
    return tuple(_token(item, number) for number, item in enumerate(content, 1))


def _token(item: object, number: int) -> TokenSetting:
    if isinstance(item, TokenSetting):
        return item
    if not isinstance(item, Mapping):
        raise ValueError(f"token {number} has no keys; it needs name, token, tenants and scopes")
    try:
        return TokenSetting.model_validate(dict(item))
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        key = ".".join(map(str, problem["loc"]))
        raise ValueError(f"token {number}: {key}: {problem['msg']}") from None


def read_tokens(text: str) -> tuple[TokenSetting, ...]:
    """Tokens of a text in YAML, or JSON; `ValueError` tells no secret."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError("the tokens are not YAML") from None
    return token_settings(content)


def _tokens_of(value: object) -> object:
    try:
        return read_tokens(value) if isinstance(value, str) else token_settings(value)
    except ValueError as error:
        raise PydanticCustomError(SECRET, "{told}", {"told": str(error)}) from None


class JwtSettings(SettingsModel):
    """Tokens of an identity provider (OpenID Connect)."""

    issuer: str = ""
    """Who makes them (`iss`); empty: none are taken."""
    audience: str = ""
    """For whom they must be (`aud`)."""
    jwks_url: str = ""
    """Where the provider shows its public keys."""
    jwks_file: Path | None = None
    """The same as a file, in place of the address."""
    tenants_claim: str = "tenants"
    """The claim that names tenants: a list, or words; `*`: all."""
    scopes_claim: str = "scopes"
    """The claim that names scopes: a list, or words."""
    policy_claim: str = "policy"
    """The claim that holds a policy."""
    name_claim: str = "sub"
    """The claim that is shown in logs."""

    @model_validator(mode="after")
    def _go_together(self) -> "JwtSettings":
        keys = bool(self.jwks_url) + (self.jwks_file is not None)
        if self.issuer and (not self.audience or keys != 1):
            raise ValueError("issuer needs audience, and one of jwks_url and jwks_file")
        if self.jwks_url and not self.jwks_url.startswith("https://"):
            raise ValueError("jwks_url begins with https://: who shows keys lets people in")
        return self


class AuthSettings(SettingsModel):
    """Tokens."""

    enabled: bool = False
    """Whether every request needs a token."""
    tokens_file: Path | None = None
    """A YAML file of tokens, read again when it changes."""
    tokens: Annotated[tuple[TokenSetting, ...], BeforeValidator(_tokens_of)] = ()
    """Tokens, as in the file; meant for NARFI_AUTH__TOKENS."""
    jwt: JwtSettings = JwtSettings()
    outage_grace: DurationNs = Field(default=3600 * 10**9, ge=0)
    """How long tokens of a catalog that cannot be read go on."""
