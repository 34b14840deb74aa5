"""What is there for rules in a process? Files, groups, evaluation and those who are told, as one.

A process without rules has idle threads and one short look at the catalog each `poll_interval`.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from narfi.core.clock import NS_PER_MS, Clock
from narfi.core.errors import AppError
from narfi.core.limits import LimitsOf
from narfi.core.ruler_settings import RulerSettings
from narfi.core.tenant import TenantId
from querier.budget import Budget, Total
from querier.executors.asked_lately import AskedLately, asked_by_the_server
from querier.executors.fair import FairPool
from querier.running import Running
from querier.service import QueryService
from ruler import metrics
from ruler.alertmanager import Sender
from ruler.asking import Asker
from ruler.claims import ALONE, Claims, Shared
from ruler.courier import STOP_S
from ruler.files import RuleFiles
from ruler.groups import RuleGroups
from ruler.live_group import LiveGroup, Outlets
from ruler.live_rule import Means
from ruler.loading import GroupLoader
from ruler.notices import Notice, Telling
from ruler.problems import Problem
from ruler.receivers import receivers_of
from ruler.remote_write.target import targets_of
from ruler.remote_write.writer import Writer
from ruler.schedule import Scheduler
from ruler.series import WrittenSample
from ruler.template_functions import TemplateWorld
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import RuleStore

log = structlog.get_logger(__name__)

MAX_WAITING = 100_000
"""Groups of a tenant whose slot has come: far more than there may be."""
API_THREADS = 2
NOBODY = TenantId("")
"""Stands for the tenant of what is done for all."""
MAX_REQUESTS = 10_000
"""Of a tenant, that wait."""


@dataclass(frozen=True, slots=True)
class RulerThreads:
    """Threads for evaluations and requests, and what evaluations hold together."""

    memory: Total
    evaluations: FairPool
    requests: FairPool


def ruler_threads(settings: RulerSettings, lately: AskedLately | None = None) -> RulerThreads:
    """All are there from the start, or `NoThreadError`; `lately` is told whose rules ask."""
    memory = Total(settings.max_memory)
    pool = FairPool(settings.evaluation_threads, MAX_WAITING, memory, lately=lately)
    return RulerThreads(memory, pool, FairPool(API_THREADS, MAX_REQUESTS))


class Ruler:
    """Rules of all tenants."""

    def __init__(
        self,
        *,
        settings: RulerSettings,
        threads: RulerThreads,
        service: QueryService,
        store: RuleStore,
        limits_of: LimitsOf,
        clock: Clock,
        single_tenant: bool,
        folder: Path,
        claims: Claims = ALONE,
    ) -> None:
        """`folder` keeps what has still to be written elsewhere."""
        self.settings = settings
        self._running = Running(threads.memory)
        self._clock, self._limits_of = clock, limits_of
        self._senders = [Sender(receiver, clock) for receiver in receivers_of(settings)]
        self._writers = [
            Writer(target, folder / "remote_write" / quote(target.name, safe=""), clock)
            for target in targets_of(settings.remote_write)
        ]
        self._pool, self.api_pool = threads.evaluations, threads.requests
        telling = Telling(
            resend_delay_ns=settings.resend_delay,
            external_url=settings.external_url,
            datasource_uid=settings.datasource_uid,
            external_labels=settings.external_labels,
            relabel=settings.alert_relabel_configs,
        )
        outlets = Outlets(self._tell, self._write)
        self._files = RuleFiles(settings.directory, store, clock, single_tenant=single_tenant)
        self._files_at_ns = 0
        self._reading: Future[None] | None = None
        self._loader = GroupLoader(
            store=store,
            clock=clock,
            telling=telling,
            outlets=outlets,
            default_interval_ns=settings.evaluation_interval,
            claims=claims,
        )
        self._claims = claims
        means = Means(
            asker=Asker(service, self._running, limits_of),
            clock=clock,
            world=TemplateWorld(
                external_url=settings.external_url, external_labels=settings.external_labels
            ),
            tolerance_ns=settings.for_outage_tolerance,
        )
        self._scheduler = Scheduler(
            means=means,
            pool=self._pool,
            refresh=self._refresh,
            outlets=outlets,
            poll_ns=settings.poll_interval,
        )
        self.groups = RuleGroups(store, limits_of, clock)
        self.groups.when_changed = self._scheduler.wake

    def look_again(self) -> int:
        """Beside others: keep what is claimed, see what they did. Raises `CatalogError`."""
        if isinstance(self._claims, Shared):
            self._claims.beat()
            self._scheduler.wake()
        return 0

    def start(self) -> None:
        """Begin to evaluate; after the journal was replayed."""
        for one in self._keepers():
            one.start()
        self._scheduler.start()

    def begin_stop(self) -> None:
        """Cancel evaluations; returns at once."""
        self._scheduler.ask_to_stop()
        self._running.stop()
        for one in self._keepers():
            one.ask_to_stop()

    def stop(self) -> None:
        """Wait for what is under way; the catalog is needed until then."""
        self.begin_stop()
        self.api_pool.close()
        self._pool.close()
        self._scheduler.stop()
        if isinstance(self._claims, Shared):
            self._claims.leave()
        until_s = time.monotonic() + STOP_S
        for one in self._keepers():
            one.stop(max(0.0, until_s - time.monotonic()))

    def _keepers(self) -> Sequence[Sender | Writer]:
        """Whatever has a thread that speaks to others."""
        return [*self._senders, *self._writers]

    def _tell(self, tenant: TenantId, notices: Sequence[Notice]) -> None:
        for sender in self._senders:
            sender.tell(tenant, notices)

    def _write(self, tenant: TenantId, samples: Sequence[WrittenSample], ts_ns: int) -> None:
        if self._writers and not self._limits_of(tenant).ruler_remote_write_disabled:
            metrics.APPENDER_READY.labels(tenant).set(1)
            metrics.APPENDED.labels(tenant).inc(len(samples))
            for writer in self._writers:
                writer.write(tenant, samples, ts_ns // NS_PER_MS)

    def _refresh(
        self, there: Mapping[GroupKey, LiveGroup], busy: frozenset[GroupKey]
    ) -> Sequence[LiveGroup]:
        now = self._clock.now_ns()
        if now >= self._files_at_ns or self._files_at_ns - now > self.settings.poll_interval:
            self._files_at_ns = now + self.settings.poll_interval
            self._read_files()
        found = self._loader.refresh(there, busy)
        metrics.PROBLEMS.set(len(self.problems()))
        return found

    def _read_files(self) -> None:
        """Beside the evaluations: a file that takes long holds up none of them."""
        if self._reading is not None and not self._reading.done():
            return

        def read() -> None:
            try:
                changed = self._files.sync()
            except AppError as error:
                log.error("rule files cannot be read", error=error.message)
            except Exception as error:
                log.error("rule files cannot be read", exc_info=error)
            else:
                metrics.PROBLEMS.set(len(self.problems()))
                if changed:
                    self._scheduler.wake()

        with asked_by_the_server(), suppress(AppError):  # the server is stopping
            self._reading = self._pool.submit(NOBODY, Budget(), read)

    def problems(self, tenant: TenantId | None = None) -> list[Problem]:
        """What is not in force as it is written, of all tenants or of one."""
        found = [*self._files.problems, *self._loader.problems]
        return [one for one in found if tenant is None or one.tenant == tenant]

    def live(self, tenant: TenantId) -> list[LiveGroup]:
        """The tenant's groups that have rules, those of other rulers too, by namespace and name."""
        found = [*self._scheduler.groups(), *self._loader.others]
        mine = {g.key: g for g in reversed(found) if g.key.tenant == tenant and g.rules}
        return [mine[key] for key in sorted(mine, key=lambda key: (key.namespace, key.name))]

    def state(self) -> dict[str, Any]:
        """For `/status`: plain data."""
        groups = self._scheduler.groups()
        rules = [rule for group in groups for rule in group.rules]
        return {
            "groups": sum(bool(group.rules) for group in groups),
            "groups_of_other_rulers": len(self._loader.others),
            "rulers": list(self._claims.rulers) if isinstance(self._claims, Shared) else [],
            "rules": len(rules),
            "failing_rules": [
                {
                    "tenant": rule.tenant,
                    "group": rule.group.name,
                    "rule": rule.rule.name,
                    "error": rule.view.last_error,
                }
                for rule in rules
                if rule.view.health == "err"
            ][:100],
            "files": [
                {"tenant": tenant, "name": name, "groups": state.groups}
                for (tenant, name), state in sorted(self._files.files.items())
            ],
            "problems": [asdict(problem) for problem in self.problems()],
            "alertmanagers": [
                {
                    "url": sender.url,
                    "waiting": sender.waiting,
                    "last_error": sender.last_error or None,
                }
                for sender in self._senders
            ],
            "remote_write": [
                {
                    "name": writer.name,
                    "url": writer.url,
                    "waiting": writer.waiting,
                    "last_error": writer.last_error or None,
                }
                for writer in self._writers
            ],
        }
