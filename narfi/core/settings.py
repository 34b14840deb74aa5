"""How is a server configured? One YAML file, then environment, then flags; all keys documented.

Unknown keys are errors. Durations are texts such as `5m`, sizes such as `256KB` (powers of 1024).
docs/operations.md lists every key.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BeforeValidator, Field

from narfi.core.auth_settings import AuthSettings
from narfi.core.canary_settings import CanarySettings, canary_of
from narfi.core.errors import AppError, ErrorKind
from narfi.core.limits import Limits
from narfi.core.place_settings import CatalogSettings, StorageSettings
from narfi.core.ray_settings import MergeRaySettings, RaySettings
from narfi.core.retention import MIN_STREAM_PERIOD_NS, StreamRetention
from narfi.core.ruler_settings import RulerSettings
from narfi.core.setting_mistakes import Where, meant_of, mistake_text
from narfi.core.setting_types import (
    ByteSize,
    DurationNs,
    FreeDisk,
    SettingsModel,
    duration_of,
    names_of,
    size_of,
)
from narfi.core.tenant import TenantError, TenantId, check_tenant
from narfi.core.text.envsubst import SubstitutionError, expand_environment
from narfi.core.text.yaml_lines import KeyPath, LinedYaml, YamlMistakeError, lined_yaml, path_text
from narfi.core.tls_settings import ServerTlsSettings

ENVIRONMENT_PREFIX = "NARFI_"


class SettingsError(AppError):
    """The configuration cannot be used; the text names file, key and what to write."""

    kind = ErrorKind.INVALID


class ServerSettings(SettingsModel):
    """Listeners."""

    http: str = "127.0.0.1:3100"
    """Address of the HTTP API."""
    grpc: str = "127.0.0.1:9095"
    """Address of the gRPC push service."""
    grpc_advertised: str = ""
    """Where other processes reach it; empty: `grpc`, or this machine's name where that is open."""
    insecure: bool = False
    """Whether others may reach the server though nobody signs in; also `--insecure`."""
    hosts: Annotated[tuple[str, ...], BeforeValidator(names_of)] = ()
    """Names by which browsers may know the server, beside addresses and `localhost`."""
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(names_of)] = ()
    """Origins of other pages that browsers may let in, such as https://logs.example.com."""
    tls: ServerTlsSettings = ServerTlsSettings()
    ui: bool = True
    """Whether `/ui/` serves the page; also `--no-ui`."""
    path_prefix: str = ""
    """Where a proxy mounts the server: requests with and without it are taken."""
    http_server_read_timeout: DurationNs = 30 * 10**9
    """In this time a request must be whole, head and body; also over gRPC."""
    http_server_write_timeout: DurationNs = 30 * 10**9
    """In this time a client must take some of its answer."""
    http_server_idle_timeout: DurationNs = 120 * 10**9
    """How long a connection may wait for its next request."""
    http_listen_conn_limit: int = Field(default=2000, ge=0)
    """Connections beyond which requests get 503; 0: as many as files may be open."""
    max_inflight_bytes: ByteSize = 1024 * 2**20
    """Bytes of all requests in flight, decompressed and decoded; beyond it 503."""
    grpc_server_max_recv_msg_size: ByteSize = 4 * 2**20
    """The largest message over gRPC."""
    grpc_server_max_concurrent_rpcs: int = Field(default=100, ge=1)
    """Calls over gRPC at once."""
    graceful_shutdown_timeout: DurationNs = 8 * 10**9
    """How long running requests may go on after a signal to stop."""


class IngesterSettings(SettingsModel):
    """From a push to a block."""

    flush_bytes: ByteSize = 36 * 2**20
    """Cost of a tenant's entries that become a block: see "Memory of pushes" in the docs."""
    flush_age: DurationNs = 300 * 10**9
    """Age at which a smaller part becomes a block."""
    max_unflushed_bytes: ByteSize = 512 * 2**20
    """Cost of all heads above which pushes are refused with 503; a tenant may have half of it."""
    push_threads: int = Field(default=4, ge=1)
    """Pushes worked on at once."""
    max_recv_msg_size: ByteSize = 100 * 2**20
    """The largest body of a push, as it is sent."""
    max_decompressed_size: ByteSize = 512 * 2**20
    """The largest body of a push, decompressed."""
    shape_min_lines: int = Field(default=1024, ge=0)
    """Lines of one shape that are stored as typed columns; fewer stay plain; 0: all stay plain."""
    block_format: int = Field(default=3, ge=2, le=3)
    """Of the blocks that are written; all formats are read."""
    journal: Literal["file", "objects"] = "file"
    """`file`: in `data_dir`; `objects`: in `storage.url`, where several processes share it."""
    commit_interval: Annotated[DurationNs, Field(ge=0, le=10 * 10**9)] = 100 * 10**6
    """Of a journal in objects: the least time between two commits."""
    lease_ttl: Annotated[DurationNs, Field(ge=10**9)] = 15 * 10**9
    """Of a journal in objects: when its ingester is taken for dead, and another takes it over."""


class QuerierSettings(SettingsModel):
    """Queries."""

    query_threads: int = Field(default=4, ge=1)
    """Queries worked on at once."""
    scan_threads: int = Field(default=2, ge=1)
    """Threads that read and filter, shared by all queries."""
    scan_processes: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    """Processes that read and filter blocks for heavy queries; 0: those have only threads; `auto`:
    two, where there are two cores, while several tenants ask."""
    ray: RaySettings = RaySettings()
    max_waiting: int = Field(default=512, ge=1)
    """Requests of a tenant that wait for a query thread; more are refused with 429."""
    max_memory: ByteSize = 2 * 2**30
    """What all running queries may hold together; 0: no bound."""
    cache_bytes: ByteSize = 256 * 2**20
    """Decoded columns that are remembered."""
    prepare_blocks: bool = True
    """Decode the newest blocks behind a start, up to three quarters of `cache_bytes`."""
    disk_cache_bytes: ByteSize = 0
    """Of blocks in a far store, kept in `data_dir`/cache; 0: none."""
    log_queries_longer_than: DurationNs = 10 * 10**9
    """Queries that take so long are logged with what they cost; 0: none."""
    partial: Literal["warn", "refuse"] = "warn"
    """Answers that a damaged block is left out of: given with a warning, or refused with 503."""
    rules_off: Annotated[tuple[str, ...], BeforeValidator(names_of)] = ()
    """Rules of the planner that are not used (querier/rules.py): for finding faults."""


class CompactorSettings(SettingsModel):
    """Upkeep of stored blocks."""

    interval: DurationNs = 60 * 10**9
    """How often deletes, retention and compaction run."""
    delete_request_cancel_period: DurationNs = 24 * 3600 * 10**9
    """How long a delete request waits, and can be cancelled."""
    delete_receipts_kept: DurationNs = 30 * 24 * 3600 * 10**9
    """How long a delete request that is done stays in the list, with its receipt."""
    orphan_grace: DurationNs = 3600 * 10**9
    """How long objects of no visible block stay, for readers of other processes."""
    max_total_bytes: ByteSize = 0
    """Stored bytes of all blocks beyond which the oldest are dropped; 0: no limit."""
    max_merge_memory: Annotated[ByteSize, Field(ge=40 * 1024 * 1024)] = 800 * 1024 * 1024
    """Memory of a merge of blocks; less makes smaller blocks."""
    ray: MergeRaySettings = MergeRaySettings()
    """A Ray cluster that merges blocks."""
    min_free_disk: FreeDisk = "512MB,5%"
    """Free space on the disk of `data_dir` below which the oldest blocks are dropped; 0: never."""


class LogSettings(SettingsModel):
    """What the server tells on the standard error."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    """From which level on; `/log_level` changes it until the next start."""
    format: Literal["", "logfmt", "json"] = ""
    """Empty: logfmt, on a terminal a form to read."""
    requests: Literal["none", "failed", "all"] = "failed"
    """Which requests are logged; `failed`: those that end with 500 or more."""


Role = Literal["ingester", "querier", "compactor", "ruler"]
ROLES: tuple[Role, ...] = ("ingester", "querier", "compactor", "ruler")


class Settings(SettingsModel):
    """Everything that a server can be told."""

    data_dir: Path = Path("data")
    """Where the journal lies; catalog and objects too, unless their URLs say otherwise."""
    roles: Annotated[tuple[Role, ...], BeforeValidator(names_of), Field(min_length=1)] = ROLES
    """What this process does: ingester, querier, compactor, ruler; all in one by default."""
    tenancy: Literal["single", "header"] = "single"
    """`single`: one tenant, `fake`; `header`: X-Scope-OrgID is required."""
    auth: AuthSettings = AuthSettings()
    storage: StorageSettings = StorageSettings()
    catalog: CatalogSettings = CatalogSettings()
    log: LogSettings = LogSettings()
    canary: Annotated[CanarySettings, BeforeValidator(canary_of)] = CanarySettings()
    server: ServerSettings = ServerSettings()
    ingester: IngesterSettings = IngesterSettings()
    querier: QuerierSettings = QuerierSettings()
    compactor: CompactorSettings = CompactorSettings()
    ruler: RulerSettings = RulerSettings(external_labels={})
    limits: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Limits of every tenant, by Loki's names (narfi/core/limits.py)."""
    overrides: Annotated[dict[str, dict[str, Any]], Field(default_factory=dict)]
    """Limits of single tenants, by tenant id."""


def load_settings(
    path: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    *,
    expand_env: bool = False,
) -> Settings:
    """Defaults, overlaid by the file, the environment (`NARFI_SERVER__HTTP=…`) and flags.

    With `expand_env` the file's `${NAME}` are replaced first (narfi/core/text/envsubst.py).
    """
    content, document = ({}, None) if path is None else _read(path, environment, expand_env)
    variables = {name: keys for name in environment if (keys := _keys_of(name))}
    where = Where(str(path) if path is not None else "settings", document, variables)
    for name, keys in variables.items():
        _overlay(content, keys, environment[name])
    for name, value in flags.items():
        _overlay(content, name.split("."), value)
    try:
        settings = Settings.model_validate(content)
    except pydantic.ValidationError as error:
        raise SettingsError(mistake_text(error, where, Settings)) from error
    limits_of(settings, where)
    _check_places(settings, where)
    _check_canary(settings, where)
    return settings


def _check_canary(settings: Settings, where: Where) -> None:
    """It writes and asks in this process; raises `SettingsError`."""
    missing = [role for role in ("ingester", "querier") if role not in settings.roles]
    if settings.canary.enabled and missing:
        raise SettingsError(
            f"{where.of(('canary',))}: canary: it writes and asks in one process, which needs "
            f"the role {' and '.join(missing)} too"
        )


def _check_places(settings: Settings, where: Where) -> None:
    """Several processes need places that all of them reach; raises `SettingsError`."""
    if settings.ingester.journal == "objects":
        for key, url in (("storage", settings.storage.url), ("catalog", settings.catalog.url)):
            if not url:
                message = f"ingester.journal is objects, which needs {key}.url"
                raise SettingsError(f"{where.of(('ingester', 'journal'))}: {message}")
    elif set(settings.roles) != set(ROLES):
        missing = ", ".join(role for role in ROLES if role not in settings.roles)
        raise SettingsError(
            f"{where.of(('roles',))}: roles: {missing} would be in another process, which needs "
            "ingester.journal: objects"
        )


def _keys_of(name: str) -> list[str]:
    """The setting that a variable means; none where it only begins as ours do.

    Kubernetes gives every pod NARFI_PORT, NARFI_SERVICE_HOST and more of a Service named narfi.
    """
    if not name.startswith(ENVIRONMENT_PREFIX):
        return []
    keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
    return keys if len(keys) > 1 or keys[0] in Settings.model_fields else []


def unrelated_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that begin as settings do and are none."""
    ours = (name for name in environment if name.startswith(ENVIRONMENT_PREFIX))
    return sorted(name for name in ours if not _keys_of(name))


def _read(
    path: Path, environment: Mapping[str, str], expand_env: bool
) -> tuple[dict[str, Any], LinedYaml]:
    """The file's keys, and where they stand."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 (byte {error.start}): save it as that") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if expand_env:
        try:
            text = expand_environment(text, environment)
        except SubstitutionError as error:
            line = text.count("\n", 0, error.offset) + 1
            raise SettingsError(f"{path}:{line}: {error.message}") from error
    try:
        document = lined_yaml(text, str(path))
        content = yaml.safe_load(text)
    except YamlMistakeError as error:
        raise SettingsError(error.message) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from error
    if content is None:
        return {}, document
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a text"
        raise SettingsError(
            f"{path}:1: must hold keys and values such as `data_dir: data`, not {kind}"
        )
    return content, document


def _overlay(content: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = content.get(key)
        content[key] = dict(inner) if isinstance(inner, dict) else {}
        content = content[key]
    content[keys[-1]] = value


_DURATIONS = {
    field.name.removesuffix("_ns"): field.name
    for field in fields(Limits)
    if field.name.endswith("_ns")
}
_SIZED = frozenset(
    (
        "max_line_size",
        "per_stream_rate_limit",
        "per_stream_rate_limit_burst",
        "max_structured_metadata_size",
        "max_query_bytes_read",
        "max_query_memory",
    )
)


def _stream_retention(value: object) -> StreamRetention:
    """One item of `retention_stream`; what is wrong as a `ValueError`."""
    if not isinstance(value, Mapping) or not {"selector", "period"} <= set(value):
        raise ValueError("an item has the keys selector, priority and period")
    unknown = set(value) - {"selector", "priority", "period"}
    if unknown:
        raise ValueError(f"unknown key {min(map(str, unknown))!r}")
    period, priority = duration_of(value["period"]), value.get("priority", 0)
    if not isinstance(period, int) or isinstance(period, bool):
        raise ValueError("period is not a duration; write for instance 72h")
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise ValueError("priority is not a whole number")
    if period < MIN_STREAM_PERIOD_NS:
        raise ValueError(f"retention period must be >= 24h was {value['period']}")
    return StreamRetention(str(value["selector"]), priority, period)


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
"""What a limit is, by the type of its default."""


def parse_limits(values: Mapping[str, Any], base: Limits, where: Where, section: KeyPath) -> Limits:
    """Limits with some values of a section replaced; durations and sizes are texts."""
    known = {field.name for field in fields(Limits)}
    changes: dict[str, Any] = {}
    for name, value in values.items():
        place = where.of((*section, str(name)))
        if place not in (where.variables or {}):
            place += f": {path_text(section)}"
        target = _DURATIONS.get(name, name)
        if target not in known:
            near = meant_of(str(name), [*_DURATIONS, *(known - set(_DURATIONS.values()))])
            raise SettingsError(f"{place}: unknown limit {name!r}{near}")
        try:
            if name in _DURATIONS:
                value = duration_of(value)
            elif name in _SIZED:
                value = size_of(value)
            elif name == "retention_stream":
                value = tuple(_stream_retention(item) for item in value or ())
        except ValueError as error:
            raise SettingsError(f"{place}: limit {name}: {error} (found {value!r})") from error
        default = getattr(base, target)
        value = _from_text(value, default)
        if isinstance(default, tuple):
            value = tuple(value or ())
        elif isinstance(default, bool) != isinstance(value, bool) or not isinstance(
            value, type(default) if not isinstance(default, float) else int | float
        ):
            kind = _KINDS[type(default)]
            raise SettingsError(f"{place}: limit {name} must be {kind} (found {value!r})")
        changes[target] = value
    return base.with_changes(**changes)


def _from_text(value: Any, default: object) -> Any:
    """A text of the environment as what the limit is: `true`, `5`, `2.5`, `a,b`."""
    if not isinstance(value, str) or isinstance(default, str):
        return value
    if isinstance(default, tuple):
        return names_of(value)
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return found if isinstance(found, bool | int | float) else value


_NOWHERE = Where("settings")


class TenantLimits:
    """The limits of each tenant; a `LimitsOf`."""

    def __init__(self, default: Limits, overrides: Mapping[str, Limits]) -> None:
        self._default, self._overrides = default, dict(overrides)

    def __call__(self, tenant: TenantId) -> Limits:
        """The tenant's own limits, or the defaults."""
        return self._overrides.get(tenant, self._default)

    def replace(self, others: "TenantLimits") -> None:
        """From now on those of the others hold."""
        self._default, self._overrides = others._default, others._overrides


def limits_of(settings: Settings, where: Where = _NOWHERE) -> TenantLimits:
    """The limits that the settings mean; raises `SettingsError`."""
    default = parse_limits(settings.limits, Limits(), where, ("limits",))
    overrides: dict[str, Limits] = {}
    for tenant, values in settings.overrides.items():
        section = ("overrides", tenant)
        try:
            check_tenant(tenant)
        except TenantError as error:
            place = where.of(section)
            raise SettingsError(
                f"{place}: overrides: no tenant has that id: {error.message}"
            ) from error
        overrides[tenant] = parse_limits(values, default, where, section)
    return TenantLimits(default, overrides)
