"""Numbers beyond all bounds, in parameters of queries."""

from tests.hostile.target import Input, hostile

QUERY, RANGE = "/loki/api/v1/query", "/loki/api/v1/query_range"
LOGS, METRIC = '{a="b"}', 'rate({a="b"}[1m])'
ANSWERED = (200, 400)


def asked(path: str, query: str, **parameters: str) -> Input:
    """One query."""
    told = " ".join(f"{name}={value}" for name, value in parameters.items())
    return hostile(
        f"{path.rpartition('/')[2]} {query} {told}",
        ANSWERED,
        lambda target: target.get(path, query=query, **parameters),
    )


INPUTS = (
    asked(QUERY, METRIC, time="9223372036854775807"),
    asked(QUERY, METRIC, time="-9223372036854775808"),
    asked(QUERY, METRIC, time="1e308"),
    asked(RANGE, METRIC, start="0", end="9223372036854775807", step="1"),
    asked(RANGE, METRIC, step="1e-300"),
    asked(RANGE, METRIC, step="99999999999999999999h"),
    asked(RANGE, LOGS, limit="9" * 30),
    asked(RANGE, LOGS, interval="-1"),
    asked(RANGE, 'rate({a="b"}[99999999999y])'),
    asked(RANGE, '{a="b"} | json x="[9999999999999999999999]"'),
    asked("/loki/api/v1/index/volume", LOGS, limit="-9" * 9, start="NaN"),
)
