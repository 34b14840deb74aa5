"""How is an explanation written? The object `data.explain`, beside `data.stats`.

Keys in camel case and times in seconds, as in `stats`. Clients of Loki pass over keys of `data`
that they do not know.
"""

from querier.result import (
    Answer,
    Explanation,
    MatrixResult,
    QueryStats,
    Read,
    ScalarResult,
    SourceCount,
    StreamsResult,
    VectorResult,
)


def explain_object(answer: Answer, explanation: Explanation) -> dict[str, object]:
    """What was read, skipped and spent for an answer."""
    return {
        "query": explanation.query,
        "rulesOff": [rule.value for rule in explanation.rules_off],
        "execTime": answer.stats.exec_time_s,
        "phases": _phases(answer.stats),
        "returned": _returned(answer),
        "reads": [_read(read) for read in explanation.reads],
    }


def _phases(stats: QueryStats) -> dict[str, float]:
    return {phase.value: seconds for phase, seconds in stats.phases_s.items()}


def _returned(answer: Answer) -> dict[str, int]:
    match answer.result:
        case StreamsResult():
            stats = answer.stats
            return {"entries": stats.entries_returned, "bytes": stats.bytes_returned}
        case MatrixResult(series):
            return {"series": len(series), "samples": sum(len(s.values) for s in series)}
        case VectorResult(_, samples):
            return {"series": len(samples), "samples": len(samples)}
        case ScalarResult():
            return {"series": 0, "samples": 1}


def _read(read: Read) -> dict[str, object]:
    stats, reading = read.stats, read.stats.reading
    skipped = stats.row_groups_planned - stats.row_groups
    return {
        "query": read.query,
        "plan": list(read.plan),
        "stages": list(read.stages),
        "fetchStages": list(read.fetch_stages),
        "rules": sorted(rule.value for rule in stats.rules),
        "sources": {"head": _sources(read.heads), "block": _sources(read.blocks)},
        "rowGroups": {"pruned": reading.row_groups_pruned + skipped, "read": stats.row_groups},
        "rows": {
            "all": read.rows,
            "pruned": read.rows - stats.lines_scanned,
            "prunedByLiterals": reading.rows_pruned,
            "counted": stats.lines_counted,
            "read": stats.lines_scanned - stats.lines_counted,
            "passed": stats.lines_after_filter,
            "fetched": stats.lines_fetched,
            "decoded": reading.rows_decoded,
            "returned": stats.entries_returned,
        },
        "bytes": {
            "all": read.bytes,
            "pruned": read.bytes - stats.bytes_scanned,
            "read": stats.bytes_scanned,
            "fetched": stats.bytes_fetched,
            "decoded": reading.bytes_decoded,
            "loaded": reading.bytes_read,
            "returned": stats.bytes_returned,
        },
        "phases": _phases(stats),
    }


def _sources(count: SourceCount) -> dict[str, int]:
    return {
        "considered": count.considered,
        "pruned": count.considered - count.read,
        "read": count.read,
    }
