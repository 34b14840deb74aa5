"""When is a request for rules worked on? When it is its tenant's turn, on a thread of requests.

A tenant has one of the threads: a group that takes long to read or to show holds up no other
tenant, and nothing of it is done where connections are served.
"""

from asyncio import wrap_future
from collections.abc import Callable
from typing import TypeVar

from querier.budget import Budget
from ruler.ruler import Ruler

T = TypeVar("T")


async def in_turn(ruler: Ruler, tenant: str, work: Callable[[], T]) -> T:
    """What the work gives; raises what it raises, or `TooManyOutstandingError`."""
    return await wrap_future(ruler.api_pool.submit(tenant, Budget(), work))
