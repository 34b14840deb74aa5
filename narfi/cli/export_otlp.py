"""`narfi export-otlp`: entries of a server as OTLP, to an endpoint or into a file."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from narfi.cli.import_loki import span_of
from narfi.cli.import_run import RateProgress, resumable, tell
from narfi.history.connecting import asker_of, client_of
from narfi.history.errors import HistoryError, SourceError
from narfi.history.importing import Importing
from narfi.history.loki.paging import LokiSource, Part
from narfi.history.loki.selectors import all_streams
from narfi.history.otlp import export_request
from narfi.history.otlp_out import TAKEN, OtlpEndpoint, OtlpFile
from narfi.history.pace import Pace
from narfi.history.page import Cursor
from narfi.history.patience import Patience
from narfi.history.place import Place
from narfi.history.pushing import Pusher
from narfi.history.state import State

_WINDOW_NS = 3600 * 10**9
_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAsked:
    """What is to be exported, and where to: `target` has an address, or there is a file."""

    source: Place
    target: Place
    file: Path | None
    tenant: str
    match: str
    since: str
    until: str
    state: Path
    rate_bytes: float
    batch: int
    give_up_s: float


def run(asked: ExportAsked) -> int:
    """Export, or go on with it; the exit status."""
    if (asked.file is None) == (not asked.target.url):
        raise HistoryError("give either --to, an OTLP endpoint, or --out, a file")
    about = {
        "source": asked.source.address(),
        "target": str(asked.file) if asked.file is not None else asked.target.url,
        "tenants": asked.tenant,
        "match": asked.match,
        "since": asked.since,
        "until": asked.until,
    }
    progress = RateProgress()
    with client_of(asked.source) as client, resumable(State(asked.state, about)) as state:
        asker = asker_of(asked.source, client, asked.give_up_s, progress.wait, tenant=asked.tenant)

        def plan() -> str:
            span = span_of(asked.since, asked.until, time.time_ns())
            found = [asked.match] if asked.match else all_streams(asker, *span)
            if not found:
                raise SourceError("there is no stream in that time: is it the right tenant?")
            return json.dumps([*span, found])

        start_ns, end_ns, selectors = json.loads(state.keep("plan", plan))
        parts = [
            Part(tenant=asked.tenant, to_tenant=asked.tenant, selector=one) for one in selectors
        ]
        source = LokiSource(
            asker=asker, parts=parts, start_ns=start_ns, end_ns=end_ns, batch=asked.batch
        )
        out, cursors = _out(asked, state)
        try:
            pusher = Pusher(
                out,
                Patience(asked.give_up_s, progress.wait),
                Pace(asked.rate_bytes),
                body_bytes=_BODY_BYTES,
                most_refused=1000,
                encode=export_request,
                taken=TAKEN,
                cursors=cursors,
            )
            importing = Importing(source, pusher, state, window_ns=_WINDOW_NS)
            progress.done = importing.done
            done = importing.run(progress)
        finally:
            progress.close()
            out.close()
        return 0 if tell(done, state, "exported") else 3


def _out(
    asked: ExportAsked, state: State
) -> tuple[OtlpEndpoint | OtlpFile, Callable[[], dict[str, Cursor]]]:
    if asked.file is not None:
        file = OtlpFile(asked.file, state.cursors())
        return file, file.cursors
    url = asked.target.url
    return OtlpEndpoint(client_of(asked.target), url), dict
