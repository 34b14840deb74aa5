"""Do the limits of all jobs hold: lines in a second, streams in a batch, bytes of a line?"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from promtail_agent.agent import Agent
from promtail_agent.limits import LimitsConfig, LineRate

Yaml = Callable[..., Path]
Start = Callable[[Path], Agent]


def test_the_bucket_fills_at_its_rate() -> None:
    now_s = 0.0
    limits = LimitsConfig(readline_rate=10, readline_burst=5)
    rate = LineRate(limits, lambda: now_s)
    stop = threading.Event()
    assert [rate.allows(stop) for _ in range(6)] == [True] * 5 + [False]
    now_s = 0.25
    assert [rate.allows(stop) for _ in range(3)] == [True, True, False]
    now_s = 100.0
    assert [rate.allows(stop) for _ in range(6)] == [True] * 5 + [False]


def test_lines_beyond_the_rate_are_dropped_and_counted(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path,
    append: Callable[..., None], eventually: Callable[..., None],
) -> None:  # fmt: skip
    top = "limits_config: {readline_rate_enabled: true, readline_rate: 1, readline_burst: 10}"
    append(container_log, *(str(k) for k in range(100)))
    agent = start_agent(agent_yaml(top=top))
    eventually(lambda: agent.metrics.dropped_lines["global_rate_limiter_drop"] >= 85)
    eventually(lambda: len(server.entries) >= 10)
    assert server.lines()[:10] == [str(k) for k in range(10)]
    total = len(server.entries) + agent.metrics.dropped_lines["global_rate_limiter_drop"]
    assert total == 100


def test_or_reading_waits(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path,
    append: Callable[..., None], eventually: Callable[..., None],
) -> None:  # fmt: skip
    rate = "readline_rate: 100, readline_burst: 10, readline_rate_drop: false"
    append(container_log, *(str(k) for k in range(60)))
    start_agent(agent_yaml(top=f"limits_config: {{readline_rate_enabled: true, {rate}}}"))
    eventually(lambda: len(server.entries) == 60)
    assert server.lines() == [str(k) for k in range(60)]
    assert server.arrivals_s[-1] - server.arrivals_s[0] > 0.3


def test_streams_of_a_batch(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path,
    append: Callable[..., None], eventually: Callable[..., None],
) -> None:  # fmt: skip
    stages = "[{cri: {}}, {regex: {expression: '(?P<n>.*)'}}, {labels: {n: }}]"
    append(container_log, "a", "b", "c", "a")
    agent = start_agent(agent_yaml(stages, top="limits_config: {max_streams: 2}"))
    eventually(lambda: len(server.entries) == 3)
    assert sorted(server.lines()) == ["a", "a", "b"]
    eventually(lambda: agent.metrics.dropped_entries["127.0.0.1", "", "stream_limited"] == 1)


def test_long_lines_are_cut_where_so_configured(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path,
    append: Callable[..., None], eventually: Callable[..., None],
) -> None:  # fmt: skip
    append(container_log, "x" * 100, "short")
    top = "limits_config: {max_line_size: 10, max_line_size_truncate: true}"
    agent = start_agent(agent_yaml(top=top))
    eventually(lambda: len(server.entries) == 2)
    assert server.lines() == ["x" * 10, "short"]
    eventually(lambda: agent.metrics.mutated_bytes["127.0.0.1", "", "line_too_long"] == 90)


def test_a_stage_that_waits_holds_up_neither_batches_nor_the_end(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path,
    append: Callable[..., None], eventually: Callable[..., None],
) -> None:  # fmt: skip
    append(container_log, *(str(k) for k in range(60)))
    agent = start_agent(agent_yaml("[{cri: {}}, {limit: {rate: 0.5, burst: 3}}]"))
    eventually(lambda: len(server.entries) >= 3)
    assert len(server.entries) < 30  # the rest waits its turn
    begin_s = time.monotonic()
    agent.stop()
    assert time.monotonic() - begin_s < 30  # at their rate they would take two minutes
    assert server.lines() == [str(k) for k in range(60)]
