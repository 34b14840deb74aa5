"""How do settings become what evaluates rules, alone or as one of several rulers?"""

import uuid

from narfi.core.clock import Clock
from narfi.core.settings import Settings, TenantLimits
from querier.service import QueryService
from ruler.claims import ALONE, BEATS, Claims, Shared
from ruler.ruler import Ruler, RulerThreads
from storage.catalog.rule_claims import RuleClaims
from storage.catalog.rules import RuleStore
from storage.catalog.sql import SqlCatalog
from upkeep.schedule import Task, Upkeep


def ruler_of(
    settings: Settings,
    threads: RulerThreads,
    service: QueryService,
    catalog: SqlCatalog,
    limits: TenantLimits,
    clock: Clock,
) -> Ruler:
    """Rules of all tenants; begins nothing."""
    return Ruler(
        settings=settings.ruler,
        threads=threads,
        service=service,
        store=RuleStore(catalog.database),
        limits_of=limits,
        clock=clock,
        single_tenant=settings.tenancy == "single",
        folder=settings.data_dir / "ruler",
        claims=_claims(settings, catalog),
    )


def rule_claims(settings: Settings, ruler: Ruler) -> tuple[Upkeep, ...]:
    """What keeps claims, where this process is one of several rulers."""
    if settings.ingester.journal != "objects" or "ruler" not in settings.roles:
        return ()
    interval_s = settings.ruler.lease_ttl / 1e9 / BEATS
    return (Upkeep("rule claims", (Task("rule claims", ruler.look_again),), interval_s),)


def _claims(settings: Settings, catalog: SqlCatalog) -> Claims:
    """Of the groups of rules, where the catalog may have other rulers."""
    if settings.ingester.journal != "objects":
        return ALONE
    ttl_s = settings.ruler.lease_ttl / 1e9
    return Shared(RuleClaims(catalog.database), uuid.uuid4().hex, ttl_s)
