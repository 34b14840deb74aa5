"""Which tokens stand in the settings and in a file? Checked at the start; a file is read again.

A file that cannot be read or used any more changes nothing: the tokens of before go on, and the log
tells it once for each state of the file.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from narfi.access.grants import make_grant
from narfi.access.known import KnownToken, KnownTokens, keyed
from narfi.access.secret import MAX_LENGTH, MIN_OWN_LENGTH, Token, is_digest, parse_token
from narfi.core.audit import audit
from narfi.core.auth_settings import AuthSettings, TokenSetting, read_tokens
from narfi.core.errors import AppError, InvalidRequestError

log = structlog.get_logger(__name__)


class ListedTokenError(InvalidRequestError):
    """A token of the settings or of a file cannot be used; the text tells no secret."""


class ListedTokens:
    """A `Source` of what is written down; `refresh` is called by one thread, the rest by any."""

    def __init__(self, settings: AuthSettings) -> None:
        """Raises `ListedTokenError`."""
        self._settings, self._path = settings, settings.tokens_file
        self._lock = threading.Lock()
        self._seen = _state(self._path)
        self._known = self._read()

    def find(self, text: str, token: Token | None) -> KnownToken | None:
        """Who signs in with this text."""
        return self._known.find(text, token)

    def __len__(self) -> int:
        return len(self._known)

    def refresh(self) -> int:
        """Read the file where it changed; 1 where that changed tokens."""
        with self._lock:
            state = _state(self._path)
            if state == self._seen:
                return 0
            self._seen = state
            before = self._known
            try:
                self._known = self._read()
            except AppError as error:
                text = "the file of tokens cannot be used, those of before go on"
                log.error(text, error=str(error))
                return 0
        self._tell(before)
        return 1

    def prepared(self, settings: AuthSettings) -> Callable[[], None]:
        """Read the tokens of other settings; what is returned puts them in force.

        Raises `ListedTokenError` where they cannot be used.
        """
        other = ListedTokens(settings)

        def use() -> None:
            with self._lock:
                before = self._known
                self._settings, self._path = other._settings, other._path
                self._seen, self._known = other._seen, other._known
            self._tell(before)

        return use

    def _tell(self, before: KnownTokens) -> None:
        changes = self._known.changes_since(before)
        audit("tokens changed", source="file", tokens=len(self._known), **changes)

    def _read(self) -> KnownTokens:
        listed = known_tokens(self._settings.tokens)
        if self._path is not None:
            listed = [*listed, *known_tokens(_of_file(self._path))]
        names = [one.grant.name for one in listed]
        for name in names:
            if names.count(name) > 1:
                raise ListedTokenError(f"two listed tokens have the name {name!r}")
        return KnownTokens(listed)


def known_tokens(settings: Sequence[TokenSetting]) -> list[KnownToken]:
    """Who may sign in; raises `ListedTokenError`."""
    return [_known(one) for one in settings]


def _known(setting: TokenSetting) -> KnownToken:
    given = [bool(setting.token), setting.token_file is not None, bool(setting.hash)]
    where = f"token {setting.name!r}"
    if sum(given) != 1:
        raise ListedTokenError(f"{where} needs one of token, token_file and hash")
    grant = make_grant(setting.name, setting.tenants, setting.scopes, setting.policy)
    if setting.hash:
        token_id, _, digest = setting.hash.partition(":")
        if not token_id or not is_digest(digest):
            raise ListedTokenError(f"{where}: hash is not what `narfi token hash` prints")
        return KnownToken(grant=grant, token_id=token_id, digest=digest)
    text = setting.token
    if setting.token_file is not None:
        text = _text_of(setting.token_file, where).strip()
    if parse_token(text) is None and not MIN_OWN_LENGTH <= len(text) <= MAX_LENGTH:
        raise ListedTokenError(
            f"{where} has {len(text)} characters: {MIN_OWN_LENGTH} to {MAX_LENGTH} are taken; "
            "`narfi token hash` makes one"
        )
    return KnownToken(grant=grant, own=keyed(text))


def _of_file(path: Path) -> Sequence[TokenSetting]:
    try:
        return read_tokens(_text_of(path, "auth.tokens_file"))
    except ValueError as error:
        raise ListedTokenError(f"{path}: {error}") from None


def _text_of(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ListedTokenError(f"{where}: {path}: {reason}") from error


def _state(path: Path | None) -> tuple[int, int, int] | None:
    """Changes when the file does, also when it is a link that leads elsewhere (Kubernetes)."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size)
