"""Does a pack keep its promises? One test for every pack, over its own samples or another folder's.

Each check gives a text for each fault and none where all is well (`docs/packs.md`, "The test").
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narfi.core.errors import AppError
from narfi.packs.alerts import alert_faults
from narfi.packs.asked import question_faults, saved_faults
from narfi.packs.compare import GIVEN, LEVELS, Stored, differences, stored_of
from narfi.packs.gather import Sent, entries_of_files, entries_of_messages, push_body
from narfi.packs.mutate import mutated
from narfi.packs.rendered import agent_file, files_job, promtail_file, syslog_job, write_config
from narfi.packs.samples import Sample, SampleSet
from narfi.server.lab import Bench
from promtail_agent.packs.pack import Pack
from querier.result import StreamsResult

FUTURE_NS = 10**9
NO_VALUE = "<no value>"
"""What a template makes of a value that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a trial happens: a server without listeners, a folder for files, a name of its own."""

    bench: Bench
    folder: Path
    tenant: str

    def span(self) -> tuple[int, int]:
        """All times until now, in ns."""
        return 0, time.time_ns() + FUTURE_NS

    def push(self, tenant: str, sent: list[Sent]) -> None:
        """Bring entries to the server, if there are any."""
        if sent:
            self.bench.push(tenant, push_body(sent))

    def stored(self, tenant: str, query: str) -> list[Stored]:
        """Entries of a log query."""
        start_ns, end_ns = self.span()
        result = self.bench.query(tenant, query, start_ns, end_ns).result
        assert isinstance(result, StreamsResult)
        return stored_of(result)


def faults(pack: Pack, samples: SampleSet, place: Place, *, own: bool) -> list[str]:
    """Everything that is not as it should be; `own` for the pack's own samples."""
    try:
        sent = _push_all(pack, samples, place)
        found = [*_of_entries(pack, samples, sent, place)]
        found += question_faults(samples, place.bench, place.tenant)
        found += _of_mutations(pack, samples, place)
        found += alert_faults(pack, samples, sent, place.bench, place.tenant)
        found += saved_faults(pack, place.bench, place.tenant if own else None)
    except AppError as error:
        return [error.message]
    return found


def _push_all(pack: Pack, samples: SampleSet, place: Place) -> list[Sent]:
    """Points 1 and 8: all samples through the rendered configuration into the server."""
    job = _job(pack, samples)
    if job is None:
        return []
    sent, _ = entries_of_files(promtail_file(place.folder / "promtail.yaml", job, pack))
    place.push(place.tenant, sent)
    return sent


def _job(pack: Pack, samples: SampleSet) -> dict[str, Any] | None:
    files = {s.component: s.file for s in samples.samples if not s.is_syslog}
    return files_job(samples.system, pack, files) if files else None


def _of_entries(
    pack: Pack, samples: SampleSet, sent: Sequence[Sent], place: Place
) -> Iterator[str]:
    """Points 2, 3 and 9: entries as expected, in both ways to write the configuration."""
    job = _job(pack, samples)
    if job is not None:
        native, _ = entries_of_files(agent_file(place.folder / "agent.yaml", job, pack))
        yield from _unlike(sent, native)
    for sample in samples.samples:
        yield from _of_sample(pack, samples.system, sample, place)


def _of_sample(pack: Pack, system: str, sample: Sample, place: Place) -> Iterator[str]:
    if sample.is_syslog:
        tenant = f"{place.tenant}-{sample.component}"
        file = write_config(place.folder / f"{sample.component}.yaml", [syslog_job(system)])
        place.push(tenant, entries_of_messages(file, sample.lines))
        found = place.stored(tenant, f'{{app="{system}"}}')
    else:
        selector = f'{{app="{system}",component="{sample.component}"}}'
        found = place.stored(place.tenant, selector)
    yield from differences(sample, found)
    if sample.is_syslog:
        return
    yield from _undeclared(pack, sample.file.name, found)
    streams = {tuple(sorted(one.labels.items())) for one in found}
    if len(streams) > pack.manifest.max_streams:
        most = pack.manifest.max_streams
        yield f"{sample.file.name}: {len(streams)} streams, max_streams is {most}"


def _unlike(sent: Sequence[Sent], native: Sequence[Sent]) -> Iterator[str]:
    """The agent with `packs` does what the stages in Promtail's words do."""

    def shown(one: Sent) -> tuple[object, ...]:
        return (one.labels, one.line, one.metadata)

    left = [shown(one) for one in native]
    for one in sent:
        if shown(one) in left:
            left.remove(shown(one))
        else:
            yield f"`packs: [{one.values.get('app')}]` makes another entry of {one.line[:120]!r}"
            return
    if left:
        yield f"`packs` makes {len(left)} entries more than the rendered stages"


def _undeclared(pack: Pack, name: str, found: Sequence[Stored]) -> Iterator[str]:
    """Labels, their values and fields that are not promised, and values that are none."""
    labels, fields = pack.labels, pack.fields
    told: set[str] = set()
    for one in found:
        told |= {
            f"label {label}={value!r} is not declared"
            for label, value in one.labels.items()
            if label not in GIVEN and value not in labels.get(label, ())
        }
        told |= {f"field {f} is not declared" for f in one.metadata.keys() - LEVELS - fields.keys()}
        told |= {f"{n} is {NO_VALUE!r}" for n, value in one.metadata.items() if value == NO_VALUE}
    for text in sorted(told):
        yield f"{name}: {text}"


def _of_mutations(pack: Pack, samples: SampleSet, place: Place) -> Iterator[str]:
    """Point 7: lines that are nearly right are kept, and give no label a new value.

    Each line is read as a file of its own, so that none is joined to the one before it.
    """
    for sample in samples.samples:
        if sample.is_syslog:
            continue
        lines = list(dict.fromkeys(mutated(sample.lines)))
        yield from _of_mutated(pack, samples.system, sample, lines, place)


def _of_mutated(
    pack: Pack, system: str, sample: Sample, lines: Sequence[bytes], place: Place
) -> Iterator[str]:
    name = f"{sample.component}-mutated"
    folder = place.folder / name
    folder.mkdir(exist_ok=True)
    for number, line in enumerate(lines):
        (folder / f"{number}.log").write_bytes(line + b"\n")
    job = files_job(system, pack, {sample.component: folder / "*.log"})
    sent, dropped = entries_of_files(agent_file(place.folder / f"{name}.yaml", job, pack))
    if len(sent) + dropped != len(lines):
        yield f"{sample.file.name}: {len(lines)} mutated lines gave {len(sent)} entries"
    tenant = f"{place.tenant}-{name}"
    place.push(tenant, sent)
    found = place.stored(tenant, f'{{app="{system}"}}')
    distinct = {(one.labels, one.ts_ns, one.line, one.metadata) for one in sent}
    if len(found) != len(distinct):
        yield f"{sample.file.name}: of {len(distinct)} mutated entries {len(found)} are stored"
    yield from _undeclared(pack, f"{sample.file.name}, mutated", found)
