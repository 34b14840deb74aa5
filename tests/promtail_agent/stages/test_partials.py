"""What becomes of parts of lines whose end does not come? Given out after a while, never early."""

import time
from collections.abc import Iterator

import pytest

from promtail_agent.entry import AgentEntry, Generation, LabelSet
from promtail_agent.pipeline import Pipeline, build_pipeline, parse_stages
from promtail_agent.stages import partials
from promtail_agent.stages.base import StageContext

PARTS = {
    "cri": ("2025-10-09T08:00:00Z {} P {}", "2025-10-09T08:00:00Z {} F {}"),
    "docker": (
        '{{"log":"{1}","stream":"{0}","time":"2025-10-09T08:00:00Z"}}',
        '{{"log":"{1}\\n","stream":"{0}","time":"2025-10-09T08:00:00Z"}}',
    ),
}
_places: Iterator[int] = iter(range(10**9))


class Source:
    """One file and the pipeline of a stage."""

    def __init__(self, stage: str, path: str = "f") -> None:
        self.context = StageContext()
        self.pipeline: Pipeline = build_pipeline(parse_stages([{stage: {}}]), self.context)
        self.part, self.end = PARTS[stage]
        self.generation = Generation(path=path, device=1, inode=1, turn=1)

    def take(self, line: str) -> list[str]:
        """The lines that come out for one."""
        entry = AgentEntry(
            labels=LabelSet({}),
            ts_ns=1,
            line=line.encode(),
            extracted={},
            generation=self.generation,
            offset=next(_places),
        )
        return [found.line.decode() for found in self.pipeline.process([entry])]

    def due(self, after_s: float) -> list[str]:
        """What comes out after so long."""
        return [found.line.decode() for found in self.pipeline.due(time.monotonic() + after_s)]


@pytest.fixture(params=sorted(PARTS))
def source(request: pytest.FixtureRequest) -> Source:
    """With the `cri` stage, and with the `docker` one."""
    return Source(request.param)


def test_a_part_without_an_end_is_given_out(source: Source) -> None:
    assert source.take(source.part.format("stdout", "begin ")) == []
    assert source.take(source.part.format("stdout", "and on")) == []
    assert source.due(partials.MAX_WAIT_S - 1) == []
    assert source.pipeline.held_from("f") is not None
    assert source.due(partials.MAX_WAIT_S) == ["begin and on"]
    assert source.pipeline.held_from("f") is None
    assert source.due(partials.MAX_WAIT_S + 9) == []
    assert source.take(source.end.format("stdout", "too late")) == ["too late"]


def test_it_waits_while_there_is_more_to_read(source: Source) -> None:
    """The server was away, reading stood still: the end is in the file, but unread."""
    source.take(source.part.format("stdout", "begin "))
    source.context.behind.add("f")
    assert source.due(3600) == []
    assert source.take(source.end.format("stdout", "end")) == ["begin end"]


def test_another_part_renews_the_wait(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    source.take(source.part.format("stdout", "a"))
    now[0] += 2
    source.take(source.part.format("stdout", "b"))
    assert list(source.pipeline.due(now[0] + 2)) == []
    assert [e.line for e in source.pipeline.due(now[0] + 3)] == [b"ab"]


def test_streams_do_not_wait_for_each_other(source: Source) -> None:
    source.take(source.part.format("stderr", "half an error"))
    assert source.take(source.end.format("stdout", "out")) == ["out"]
    assert source.due(partials.MAX_WAIT_S) == ["half an error"]


def test_the_memory_is_bounded(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "MAX_JOINED_BYTES", 1000)
    out: list[str] = []
    for _ in range(30):
        out += source.take(source.part.format("stdout", "x" * 100))
    assert [len(line) for line in out] == [1100, 1100]


def test_many_sources_without_an_end() -> None:
    """Of 101 the first hundred are given out as they are."""
    pipeline = build_pipeline(parse_stages([{"docker": {}}]), StageContext())
    out: list[bytes] = []
    for number in range(101):
        line = PARTS["docker"][0].format("stdout", f"n{number}").encode()
        place = Generation(path=f"f{number}", device=1, inode=number + 1)
        entry = AgentEntry(
            labels=LabelSet({}), ts_ns=1, line=line, extracted={}, generation=place, offset=0
        )
        out += [found.line for found in pipeline.process([entry])]
    assert out == [f"n{number}".encode() for number in range(100)]
    assert pipeline.held_from("f100") is not None
