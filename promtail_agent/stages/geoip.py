"""`geoip`: where an address is, or whose network it is, as labels (reference/agent.md §11).

The database is a MaxMind file; reading it takes the package maxminddb (extra `geoip`).
"""

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from promtail_agent.entry import AgentEntry, as_text
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext

EXAMPLE = """
geoip:
  db: /etc/geoip/GeoLite2-City.mmdb
  source: remote_addr
  db_type: city
"""


class Config(StageConfig):
    """The database, and the extracted value that holds the address."""

    db: str = ""
    source: str | None = None
    db_type: Literal["city", "asn", "country"] = "city"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.db:
            raise ValueError("db is required")
        if not self.source:
            raise ValueError("source is required")
        return self


class GeoIpStage(EachEntry):
    """Sets labels of what the database knows; an address that it does not know adds none."""

    def __init__(self, config: Config) -> None:
        self._source = config.source or ""
        self._read = _asn if config.db_type == "asn" else _city
        self._lookup = _open(config.db)

    def apply(self, entry: AgentEntry) -> bool:
        """Look the address up."""
        text = as_text(entry.extracted.get(self._source))
        try:
            address = ipaddress.ip_address(text or "")
        except ValueError:
            return True
        found = self._lookup(address)
        labels = entry.labels
        for name, value in (self._read(found) if found else {}).items():
            if value not in (None, ""):
                labels = labels.with_label(f"geoip_{name}", str(value))
        entry.labels = labels
        return True


def _open(db: str) -> Callable[[Any], Mapping[str, Any] | None]:
    """The database's look-up; raises `ValueError` where it cannot be read."""
    try:
        import maxminddb
    except ImportError as error:
        raise ValueError("the geoip stage needs maxminddb: pip install 'narfi[geoip]'") from error
    if not Path(db).is_file():
        raise ValueError(f"geoip database {db} does not exist")
    try:
        reader = maxminddb.open_database(db)
    except (maxminddb.InvalidDatabaseError, OSError) as error:
        raise ValueError(f"geoip database {db} cannot be read: {error}") from error

    def lookup(address: Any) -> Mapping[str, Any] | None:
        try:
            found = reader.get(address)
        except ValueError:  # an IPv6 address in an IPv4 database
            return None
        return found if isinstance(found, dict) else None

    return lookup


def _city(record: Mapping[str, Any]) -> dict[str, object]:
    location = record.get("location", {})
    subdivision = (record.get("subdivisions") or [{}])[0]
    return {
        "city_name": _english(record.get("city")),
        "country_name": _english(record.get("country")),
        "continent_name": _english(record.get("continent")),
        "continent_code": record.get("continent", {}).get("code"),
        "location_latitude": location.get("latitude"),
        "location_longitude": location.get("longitude"),
        "postal_code": record.get("postal", {}).get("code"),
        "timezone": location.get("time_zone"),
        "subdivision_name": _english(subdivision),
        "subdivision_code": subdivision.get("iso_code"),
    }


def _asn(record: Mapping[str, Any]) -> dict[str, object]:
    return {
        "autonomous_system_number": record.get("autonomous_system_number"),
        "autonomous_system_organization": record.get("autonomous_system_organization"),
    }


def _english(record: Any) -> object:
    return (record or {}).get("names", {}).get("en")


def build(config: Config, _context: StageContext) -> GeoIpStage:
    """The stage of a config."""
    return GeoIpStage(config)
