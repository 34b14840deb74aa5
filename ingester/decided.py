"""What did the settings say when a push was accepted? Kept with its record, so that a replay does
not ask today's.

A record holds a body as received; stream and level of an entry follow from it and from a few
settings. A set of settings that this program has had as its default is kept as its number, others
as JSON. Invariant: a number means the same for ever.
"""

from dataclasses import fields

import orjson

from narfi.core.errors import AppError
from narfi.core.limits import DEFAULT_LOG_LEVEL_FIELDS, DEFAULT_SERVICE_NAME_LABELS, Limits

NAMES = (
    "allow_structured_metadata",
    "discover_log_levels",
    "discover_service_name",
    "log_level_fields",
    "log_level_from_json_max_depth",
)
"""The limits that say what a push becomes; all others only say whether it is taken."""

Values = tuple[bool, bool, tuple[str, ...], tuple[str, ...], int]

KNOWN: dict[bytes, Values] = {
    b"1": (True, True, DEFAULT_SERVICE_NAME_LABELS, DEFAULT_LOG_LEVEL_FIELDS, 2),
}
"""Never changed, only added to: when a default changes, the old lists are written out here."""


class DecidedError(AppError):
    """What was decided for a record cannot be read by this version."""


def decided(limits: Limits) -> bytes:
    """What a record keeps of the limits in force."""
    values = tuple(getattr(limits, name) for name in NAMES)
    for number, known in KNOWN.items():
        if known == values:
            return number
    return orjson.dumps(dict(zip(NAMES, values, strict=True)))


def limits_when_accepted(kept: bytes, today: Limits) -> Limits:
    """The limits to replay a record with; records of journal version 1 kept nothing."""
    if not kept:
        return today
    if kept in KNOWN:
        return today.with_changes(**dict(zip(NAMES, KNOWN[kept], strict=True)))
    try:
        found = orjson.loads(kept)
        values = {
            name: tuple(found[name]) if isinstance(found[name], list) else found[name]
            for name in NAMES
        }
    except (ValueError, TypeError, KeyError) as error:
        raise DecidedError("a journal record's decisions are of an unknown form") from error
    return today.with_changes(**values)


assert set(NAMES) <= {field.name for field in fields(Limits)}
