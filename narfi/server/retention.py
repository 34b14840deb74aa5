"""How do the limits on retention become policies? Selectors are read when settings are."""

from collections.abc import Mapping

from logql.parser import parse_selector
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.retention import RetentionPolicy, RetentionRule
from narfi.core.settings import Settings, SettingsError, limits_of
from narfi.core.tenant import TenantId


def policy_of(limits: Limits, where: str) -> RetentionPolicy:
    """The policy that the limits mean; raises `SettingsError` for a selector that is none."""
    rules: list[RetentionRule] = []
    for item in limits.retention_stream:
        try:
            matchers = parse_selector(item.selector).matchers
        except AppError as error:
            message = f"{where}: limit retention_stream: invalid labels matchers: {error}"
            raise SettingsError(f"{message} (found {item.selector!r})") from error
        rules.append(RetentionRule(tuple(matchers), item.priority, item.period_ns))
    return RetentionPolicy(limits.retention_period_ns, tuple(rules))


class RetentionPolicies:
    """The policy of each tenant."""

    def __init__(self, default: RetentionPolicy, own: Mapping[str, RetentionPolicy]) -> None:
        self._default, self._own = default, dict(own)

    def __call__(self, tenant: TenantId) -> RetentionPolicy:
        """The tenant's own policy, or that of all."""
        return self._own.get(tenant, self._default)

    def replace(self, others: "RetentionPolicies") -> None:
        """From now on those of the others hold."""
        self._default, self._own = others._default, others._own


def policies_of(settings: Settings, where: str = "settings") -> RetentionPolicies:
    """What the settings mean; raises `SettingsError`."""
    limits = limits_of(settings)
    default = policy_of(limits(TenantId("")), f"{where}: limits")
    own = {
        tenant: policy_of(limits(TenantId(tenant)), f"{where}: overrides.{tenant}")
        for tenant in settings.overrides
    }
    return RetentionPolicies(default, own)
