"""What does a start check before it opens anything? The same for `check-config` and `doctor`."""

from narfi.access.listed_tokens import ListedTokens
from narfi.core.settings import Settings, SettingsError
from narfi.server.addresses import AddressError, host_of
from narfi.server.retention import policies_of
from narfi.server.tls import Certificates
from querier.rules import Rule
from ruler.receivers import receivers_of
from storage.objects.places import local_folder


def check_settings(settings: Settings, where: str = "settings") -> None:
    """Raise an `AppError` where a start would; `where` they stand. Nothing is opened or changed."""
    server = settings.server
    for key, address in (("http", server.http), ("grpc", server.grpc)):
        try:
            host_of(address)
        except AddressError as error:
            raise SettingsError(f"server.{key}: {error.message}") from error
    if server.http == server.grpc and not server.http.endswith(":0"):
        raise SettingsError(f"server.grpc: {server.grpc} is server.http too; give each its own")
    rules_of(settings.querier.rules_off)
    policies_of(settings, where)
    receivers_of(settings.ruler)
    ListedTokens(settings.auth)
    if settings.storage.url:
        local_folder(settings.storage.url)
    if server.tls.is_on:
        Certificates(server.tls)


def rules_of(names: tuple[str, ...]) -> tuple[Rule, ...]:
    """The planner's rules of `querier.rules_off`."""
    try:
        return tuple(Rule(name) for name in names)
    except ValueError as error:
        known = ", ".join(Rule)
        raise SettingsError(f"querier.rules_off: {error}; there are {known}") from error
