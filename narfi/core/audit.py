"""Who changed what? Events that are logged at every level, by a logger of their own.

An event is a line as any other, of the logger `audit`: what was done, then by which token, for
which tenant, by which request, and what it is about.
"""

import logging
from collections.abc import Mapping
from typing import Any

from narfi.core.request_facts import facts_of

LOGGER = "audit"
_log = logging.getLogger(LOGGER)
_log.setLevel(logging.INFO)  # its own: `log.level` is about the rest


def audit(action: str, **about: object) -> None:
    """Tell of a change that no request asked for."""
    _log.info(action, extra={"pairs": about})


def audit_request(scope: Mapping[str, Any], action: str, **about: object) -> None:
    """Tell of a change that a request made."""
    facts = facts_of(scope)
    who = {"token": facts.token, "tenant": facts.tenant, "request_id": facts.request_id}
    audit(action, **{name: value for name, value in who.items() if value}, **about)
