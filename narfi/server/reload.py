"""Which settings can change while the server runs, and what became of those that did?

The configuration is read again as at the start: file, environment, flags. It is checked whole
before anything of it is used, so one that is bad changes nothing. What cannot be changed in a
running process stays as it was, and is named until the next start.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog
from prometheus_client import Counter, Gauge

from narfi.core.clock import NS_PER_S
from narfi.core.errors import AppError
from narfi.core.log import set_level
from narfi.core.settings import Settings, limits_of
from narfi.server.observing import Requests
from narfi.server.retention import policies_of
from narfi.server.tls import Certificates
from narfi.server.wiring import Server

log = structlog.get_logger(__name__)

LAST_OK = Gauge(
    "narfi_config_last_reload_successful",
    "1 when the newest configuration that was read could be used, 0 when it could not.",
)
LAST_OK_TIME = Gauge(
    "narfi_config_last_reload_success_timestamp_seconds",
    "When a configuration was last put in force, by a start or a reload.",
)
RELOADS = Counter("narfi_config_reloads_total", "Configurations that were read again.", ["result"])

Load = Callable[[], Settings]

MOVABLE = ("limits", "overrides", "log.level", "log.requests")
"""Settings, and sections of them, that change in a running process."""
MOVABLE_TOKENS = ("auth.tokens", "auth.tokens_file")
"""Where tokens are asked for."""
MOVABLE_TLS = ("server.tls.cert_file", "server.tls.key_file")
"""Where TLS is spoken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a reload."""

    at_ns: int
    by: str
    error: str | None = None  # nothing was changed
    changed: tuple[str, ...] = ()  # keys that are in force now
    needs_restart: tuple[str, ...] = ()  # keys that are not


@dataclass(slots=True, kw_only=True)
class Reloader:
    """The settings in force; `reload` blocks and may be called by any thread.

    `load` is what the start did to read them; None: they came from nowhere that can be read again.
    `requests` logs those of the server, where it serves any.
    """

    server: Server
    certificates: Certificates | None
    load: Load | None
    in_force: Settings
    requests: Requests | None = None
    last: Outcome | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        LAST_OK.set(1)
        LAST_OK_TIME.set(time.time())

    def reload(self, by: str) -> Outcome:
        """Read the configuration again and use of it what can be used now."""
        with self._lock:
            try:
                outcome = self._reload(by)
            except Exception as error:  # noqa: BLE001 - whatever it is, that of before goes on
                outcome = Outcome(
                    at_ns=time.time_ns(),
                    by=by,
                    error=str(error) if isinstance(error, AppError) else repr(error),
                    needs_restart=() if self.last is None else self.last.needs_restart,
                )
            self.last = outcome
        self._tell(outcome)
        return outcome

    def state(self) -> dict[str, Any]:
        """For `/status`."""
        last = self.last
        return {
            "last_reload": None if last is None else asdict(last),
            "needs_restart": [] if last is None else list(last.needs_restart),
        }

    def _reload(self, by: str) -> Outcome:
        if self.load is None:
            raise AppError("this server was started without a configuration that can be read again")
        wanted = self.load()
        keys = tuple(changes(self.in_force, wanted))
        movable = self._movable(wanted)
        changed = tuple(key for key in keys if _is_of(key, movable))
        self._use(wanted, changed)
        return Outcome(
            at_ns=time.time_ns(),
            by=by,
            changed=changed,
            needs_restart=tuple(key for key in keys if key not in changed),
        )

    def _movable(self, wanted: Settings) -> tuple[str, ...]:
        found: tuple[str, ...] = MOVABLE
        if self.server.tokens.listed is not None:
            found += MOVABLE_TOKENS
        if self.certificates is not None and wanted.server.tls.is_on:
            found += MOVABLE_TLS
        return found

    def _use(self, wanted: Settings, changed: tuple[str, ...]) -> None:
        """Check all parts, then change them; raises before the first one is changed."""
        server, before = self.server, self.in_force
        limits, policies = limits_of(wanted), policies_of(wanted)
        auth = before.auth.model_copy(
            update={"tokens": wanted.auth.tokens, "tokens_file": wanted.auth.tokens_file}
        )
        tls = before.server.tls.model_copy(
            update={
                "cert_file": wanted.server.tls.cert_file,
                "key_file": wanted.server.tls.key_file,
            }
        )
        put: list[Callable[[], None]] = []
        update: dict[str, Any] = {"limits": wanted.limits, "overrides": wanted.overrides}
        if server.tokens.listed is not None:
            put.append(server.tokens.listed.prepared(auth))
            update["auth"] = auth
        if self.certificates is not None and wanted.server.tls.is_on:
            put.append(self.certificates.prepared(tls))
            update["server"] = before.server.model_copy(update={"tls": tls})
        update["log"] = before.log.model_copy(
            update={"level": wanted.log.level, "requests": wanted.log.requests}
        )
        for use in put:
            use()
        server.limits.replace(limits)
        server.retention.replace(policies)
        if "log.level" in changed:
            set_level(wanted.log.level)
        if self.requests is not None:
            self.requests.told = wanted.log.requests
        self.in_force = before.model_copy(update=update)

    def _tell(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            RELOADS.labels("failed").inc()
            LAST_OK.set(0)
            log.error(
                "the new configuration cannot be used, that of before goes on",
                by=outcome.by,
                error=outcome.error,
            )
            return
        RELOADS.labels("ok").inc()
        LAST_OK.set(1)
        LAST_OK_TIME.set(outcome.at_ns / NS_PER_S)
        log.info(
            "the configuration was read again",
            by=outcome.by,
            changed=",".join(outcome.changed),
            needs_restart=",".join(outcome.needs_restart),
        )


def unloaded(server: Server) -> Reloader:
    """For a server that was not started from a configuration: nothing is read again."""
    return Reloader(server=server, certificates=None, load=None, in_force=server.settings)


def changes(before: Settings, after: Settings) -> Iterator[str]:
    """Keys whose values differ, sorted; of limits and overrides down to the limit."""
    yield from sorted(_changes("", before.model_dump(), after.model_dump()))


def _changes(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in before.keys() | after.keys():
        key = f"{prefix}{name}"
        old, new = before.get(name), after.get(name)
        if old == new and (name in before) == (name in after):
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes(f"{key}.", old, new)
        else:
            yield key


def _is_of(key: str, movable: tuple[str, ...]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in movable)
