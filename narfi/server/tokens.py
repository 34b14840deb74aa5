"""Which tokens may sign in here? Those of settings, file and catalog, looked at again and again."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from narfi.access.catalog_tokens import CatalogTokens
from narfi.access.known import Source
from narfi.access.listed_tokens import ListedTokens
from narfi.access.sessions import Sessions
from narfi.access.sign_in import SignIn
from narfi.core.clock import Clock
from narfi.core.settings import Settings, SettingsError
from storage.catalog.database import Database
from storage.catalog.tokens import TokenStore
from upkeep.schedule import Task, Upkeep

if TYPE_CHECKING:
    from narfi.access.jwt_tokens import JwtTokens

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""Between two looks for new and revoked tokens."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who signs in, and the thread that hears of changes; without one nobody need sign in."""

    sign_in: SignIn
    keepers: tuple[Upkeep, ...] = ()
    listed: ListedTokens | None = None
    sessions: Sessions = field(default_factory=lambda: Sessions(time.monotonic))


def open_tokens(settings: Settings, database: Database, clock: Clock) -> Tokens:
    """Read for the first time; raises `AppError` where that fails."""
    if not settings.auth.enabled:
        return Tokens(SignIn((), clock))
    listed = ListedTokens(settings.auth)
    stored = CatalogTokens(TokenStore(database), clock, settings.auth.outage_grace)
    stored.refresh()
    log.info("tokens are needed", listed=len(listed), in_catalog=len(stored))
    sources: list[Source] = [listed, stored]
    tasks = [Task("listed tokens", listed.refresh), Task("tokens", stored.refresh)]
    if settings.auth.jwt.issuer:
        provided = _provided(settings)
        sources.append(provided)
        tasks.append(Task("keys of tokens", provided.refresh))
    return Tokens(SignIn(sources, clock), (Upkeep("tokens", tuple(tasks), LOOK_S),), listed)


def _provided(settings: Settings) -> "JwtTokens":
    """Tokens of an identity provider, for which a library is needed that not everybody has."""
    try:
        from narfi.access.jwt_tokens import JwtTokens
    except ImportError as error:
        message = f"auth.jwt needs {error.name}: pip install 'narfi[oidc]'"
        raise SettingsError(message) from error
    return JwtTokens(settings.auth.jwt)
