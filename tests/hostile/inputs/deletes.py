"""Delete requests: more than a tenant may have, long ones, and a list of all that are there."""

import urllib.parse

from tests.hostile.target import Outcome, Target, hostile

PATH = "/loki/api/v1/delete"
MANY = 520
TIMES = {"start": "1000000000", "end": "1000000001"}
LONG = '{a="b"} |= "%s"' % ("x" * 15_000)
TOO_LONG = '{a="b"} |= "%s"' % ("x" * 20_000)


def create(target: Target, query: str) -> Outcome:
    """Ask for a deletion of what was never there."""
    asked = urllib.parse.urlencode({"query": query, **TIMES})
    return target.send("POST", f"{PATH}?{asked}", b"")


def many(target: Target) -> list[Outcome]:
    """Up to the limit and beyond it, then a query and the list."""
    made = [create(target, LONG) for _ in range(MANY)]
    refused = [found for found in made if found.status == 429]
    assert len(refused) >= MANY - 500
    assert all("max_pending_delete_requests" in found.text for found in refused)
    asked = target.get("/loki/api/v1/query_range", query='{a="b"}', **TIMES)
    listed = target.send("GET", PATH)
    assert (asked.status, listed.status) == (200, 200)
    return made


INPUTS = (
    hostile("a delete request too long", (400,), lambda target: create(target, TOO_LONG)),
    hostile("more delete requests than allowed", (204, 429), many),
)
