"""Which rules are there, and what is wrong with them? `/ruler/rule_groups`, `/ruler/status`."""

from asyncio import get_running_loop

import orjson
from fastapi import APIRouter, Response

from ruler.http_api.answers import JSON, yaml_answer
from ruler.ruler import Ruler
from ruler.write_groups import tenants_yaml


def status_api_router(ruler: Ruler) -> APIRouter:
    """The endpoints, which know no tenant."""
    router = APIRouter()

    @router.get("/ruler/rule_groups")
    async def rule_groups() -> Response:
        loop = get_running_loop()
        found = await loop.run_in_executor(ruler.api_pool, ruler.groups.tenants)
        return yaml_answer(tenants_yaml(found))

    @router.get("/ruler/status")
    async def status() -> Response:
        return Response(orjson.dumps(ruler.state()), headers={"Content-Type": JSON})

    @router.get("/ruler/ring")
    async def ring() -> Response:
        return Response("Ruler running with shards disabled\n", media_type="text/plain")

    return router
