"""What became of the exports of this process? An answer that leaves cannot change its status.

The last ones are remembered, and shown to who asked for them.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import Grant
from narfi.core.tenant import TenantId

MOST_REMEMBERED = 200


HEX_DIGITS = frozenset("0123456789abcdef")
LEAST_ID, MOST_ID = 16, 64


class BadExportIdError(InvalidRequestError):
    """The client's name of an export is no such name, or is another's."""


class UnknownExportError(AppError):
    """None with this id is remembered here, or it is not this client's to see."""

    kind = ErrorKind.NOT_FOUND


@dataclass(slots=True, kw_only=True)
class Export:
    """One export; changed by the thread that works on it."""

    tenants: tuple[TenantId, ...]
    who: str  # the token's name
    export_id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: str = "running"  # or complete, incomplete
    rows: int = 0
    bytes: int = 0
    reason: str | None = None  # of an incomplete one
    warnings: Sequence[Mapping[str, object]] = ()

    def shown(self) -> dict[str, object]:
        """For the client."""
        return {
            "id": self.export_id,
            "state": self.state,
            "rows": self.rows,
            "bytes": self.bytes,
            "reason": self.reason,
            "warnings": list(self.warnings),
        }


class Exports:
    """The last exports; thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Export] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, tenants: tuple[TenantId, ...], grant: Grant, export_id: str = "") -> Export:
        """A new one, by the name that its client gave it, or one that is made up."""
        if export_id and not (
            LEAST_ID <= len(export_id) <= MOST_ID and HEX_DIGITS.issuperset(export_id)
        ):
            raise BadExportIdError("the id of an export is 16 to 64 hex digits (0-9a-f)")
        found = Export(tenants=tenants, who=grant.name)
        with self._lock:
            if export_id in self._known:
                raise BadExportIdError(f"there is an export {export_id} already")
            found.export_id = export_id or found.export_id
            self._known[found.export_id] = found
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return found

    def one(self, export_id: str, tenants: tuple[TenantId, ...], grant: Grant) -> Export:
        """One of a client's own; raises `UnknownExportError`."""
        with self._lock:
            found = self._known.get(export_id)
        if found is None or (found.tenants, found.who) != (tenants, grant.name):
            raise UnknownExportError(
                f"no export {export_id} is remembered in this process, which knows the last "
                f"{MOST_REMEMBERED}"
            )
        return found
