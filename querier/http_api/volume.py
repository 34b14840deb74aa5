"""`index/volume` and `index/volume_range` (reference/http-api.md §4.5)."""

import numpy as np
from fastapi import APIRouter, Request, Response

from logql.parser import parse_selector
from narfi.core.clock import NS_PER_MS
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from querier.budget import Budget
from querier.explore.volume import Volume, volume_groups
from querier.explore.volume_leaves import VolumeOptions
from querier.http_api.encode import encode_answer
from querier.http_api.params import Bounds, Parameters, parse_count, parse_step
from querier.http_api.requests import (
    QueryContext,
    bounds_of,
    in_pool,
    json_response,
    parameters_of,
)
from querier.result import (
    Answer,
    MatrixResult,
    QueryStats,
    Result,
    Sample,
    Series,
    Told,
    VectorResult,
)
from querier.service import TimeRange

METHODS = ["GET", "POST"]
DEFAULT_LIMIT = 100


class VolumeDisabledError(AppError):
    """The tenant's limits switch the endpoint off."""

    kind = ErrorKind.NOT_FOUND


def volume_router(context: QueryContext) -> APIRouter:
    """Both endpoints."""
    router = APIRouter()

    async def answer(request: Request, *, ranged: bool) -> Response:
        tenants = context.tenants(request)
        if not context.limits(tenants).volume_enabled:
            raise VolumeDisabledError("not found")
        parameters = await parameters_of(request)
        bounds = bounds_of(context, tenants, parameters)
        matchers = parse_selector(parameters.get("query"), allow_empty_matchers=True).matchers
        options = _options(parameters, matchers)
        limit = parse_count(parameters, "limit", zero=True) or DEFAULT_LIMIT
        step_ns = parse_step(parameters, bounds) if ranged else 0
        place = TimeRange(tenants, bounds.start_ns, bounds.end_ns)

        def work(budget: Budget) -> Told[bytes]:
            edges = _edges(bounds, step_ns)
            told = context.service.volume(place, matchers, edges, options, budget)
            found, most = told.value, context.limits(tenants).volume_max_series
            if len(found) > most:
                message = f"the query hit the max number of series limit (limit: {most} series)"
                raise InvalidRequestError(message)
            answer = Answer(_result(found, edges, limit), QueryStats(), told.warnings)
            return Told(encode_answer(answer), told.warnings)

        told = await in_pool(context, request, work)
        return json_response(told.value, told.warnings)

    async def volume(request: Request) -> Response:
        return await answer(request, ranged=False)

    async def volume_range(request: Request) -> Response:
        return await answer(request, ranged=True)

    routes = (("volume", volume), ("volume_range", volume_range))
    for name, handler in routes:
        router.add_api_route(
            f"/loki/api/v1/index/{name}", handler, methods=METHODS, response_model=None
        )
    return router


def _options(parameters: Parameters, matchers: tuple[object, ...]) -> VolumeOptions:
    how = parameters.get("aggregateBy") or "series"
    if how not in ("series", "labels"):
        raise InvalidRequestError("invalid aggregation option")
    targets = [name for name in parameters.get("targetLabels").split(",") if name]
    return volume_groups(matchers, targets, how == "labels")  # type: ignore[arg-type]


def _edges(bounds: Bounds, step_ns: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Edges of the buckets; inner ones lie on multiples of the step."""
    end = max(bounds.end_ns, bounds.start_ns + 1)
    if step_ns <= 0:
        return np.array([bounds.start_ns, end], np.int64)
    first = bounds.start_ns - bounds.start_ns % step_ns + step_ns
    inner = np.arange(min(first, end), end, step_ns, dtype=np.int64)
    return np.concatenate([[bounds.start_ns], inner, [end]]).astype(np.int64)


def _result(
    found: list[Volume], edges: "np.ndarray[tuple[int], np.dtype[np.int64]]", limit: int
) -> Result:
    """A matrix where a series has several samples, else a vector; points at bucket ends.

    Of each bucket only the largest `limit` series are given.
    """
    times = edges[1:] // NS_PER_MS
    times[:-1] -= 1
    series = []
    for volume, given in zip(found, _largest(found, limit), strict=True):
        if given.any():
            series.append(Series(volume.labels, times[given], np.floor(volume.bytes[given])))
    if any(len(s.times_ms) > 1 for s in series):
        return MatrixResult(tuple(series))
    end = int(times[-1])
    samples = tuple(Sample(s.labels, float(s.values[0])) for s in series)
    return VectorResult(end, samples)


def _largest(found: list[Volume], limit: int) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    """[series, bucket]: whether it is among the largest of the bucket; of equals the first name."""
    if not found:
        return np.zeros((0, 0), np.bool_)
    sizes = np.stack([volume.bytes for volume in found])
    names = np.argsort(np.array(sorted(range(len(found)), key=lambda k: found[k].labels)))
    order = np.lexsort((np.broadcast_to(names[:, None], sizes.shape), -sizes), axis=0)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(found))[:, None], axis=0)
    return (rank < limit) & (sizes > 0)
