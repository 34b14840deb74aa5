"""Where do large queries and merges run? On a Ray cluster, if there is one."""

from pydantic import Field

from narfi.core.setting_types import ByteSize, SettingsModel


class RaySettings(SettingsModel):
    """A Ray cluster that queriers share; `RAY_AUTH_MODE` and a token come from the environment."""

    address: str = ""
    """Of the cluster's head, host:port, as `ray start --address` takes it; empty: no Ray."""
    workers: int = Field(default=4, ge=1)
    """Actors that read and filter; each has a CPU of the cluster."""
    min_bytes: ByteSize = 2 * 2**30
    """Line bytes that a query plans to read of blocks, from which on its tasks go there."""
    disk_cache_folder: str = ""
    """On each machine of the cluster, for what actors there read of far blocks; empty: none."""
    disk_cache_bytes: ByteSize = 10 * 2**30
    """That all actors of a machine keep in that folder together."""


class MergeRaySettings(SettingsModel):
    """A Ray cluster that merges blocks for compactors."""

    address: str = ""
    """As `querier.ray.address`; it may be the same cluster."""
    min_bytes: ByteSize = 32 * 2**20
    """Line bytes of the blocks of a merge, from which on it is done there."""
