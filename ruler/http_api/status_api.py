"""Which rules are there, and what is wrong with them? `/ruler/rule_groups`, `/ruler/status`."""

import orjson
from fastapi import APIRouter, Response

from ruler.http_api.answers import JSON, yaml_answer
from ruler.http_api.turns import in_turn
from ruler.ruler import NOBODY, Ruler
from ruler.write_groups import tenants_yaml


def status_api_router(ruler: Ruler) -> APIRouter:
    """The endpoints, which know no tenant."""
    router = APIRouter()

    @router.get("/ruler/rule_groups")
    async def rule_groups() -> Response:
        return await in_turn(
            ruler, NOBODY, lambda: yaml_answer(tenants_yaml(ruler.groups.tenants()))
        )

    @router.get("/ruler/status")
    async def status() -> Response:
        return Response(orjson.dumps(ruler.state()), headers={"Content-Type": JSON})

    @router.get("/ruler/ring")
    async def ring() -> Response:
        return Response("Ruler running with shards disabled\n", media_type="text/plain")

    return router
