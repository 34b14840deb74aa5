"""Are logs of containers followed over Docker's API, over broken connections and restarts?"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config
from promtail_agent.targets.docker import DockerSdConfig, container_labels
from promtail_agent.targets.docker_frames import LineJoiner, read_frames, read_terminal
from tests.promtail_agent.targets.docker_api import Container, DockerApi, stamp

SECOND = 10**9
BASE = 1_759_996_800 * SECOND
Start = Callable[..., Agent]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerApi]:
    """A Docker with one running container."""
    monkeypatch.setattr("promtail_agent.targets.docker.AGAIN_AFTER_S", 0.02)
    found = DockerApi(tmp_path)
    found.containers["c1"] = Container(key="c1", name="web", labels={"com.example/team": "shop"})
    yield found
    found.close()


@pytest.fixture
def start(docker: DockerApi, server: Any, tmp_path: Path) -> Iterator[Start]:
    """Starts agents that read from it."""
    running: list[Agent] = []

    def begin(more: str = "") -> Agent:
        file = tmp_path / "agent.yaml"
        file.write_text(f"""
clients: [{{url: "{server.url}", batchwait: 20ms}}]
positions: {{filename: {tmp_path}/positions.yaml}}
scrape_configs:
  - job_name: containers
    docker_sd_configs: [{{host: "unix://{docker.socket}", refresh_interval: 50ms {more}}}]
    relabel_configs:
      - {{source_labels: [__meta_docker_container_name], regex: /(.*), target_label: container}}
      - {{source_labels: [__meta_docker_container_log_stream], target_label: stream}}
      - {{source_labels: [__meta_docker_container_label_com_example_team], target_label: team}}
      - {{source_labels: [container], regex: noise, action: drop}}
""")
        agent = Agent(load_agent_config(file))
        agent.start()
        running.append(agent)
        return agent

    yield begin
    for agent in running:
        agent.stop()


def test_both_streams_with_dockers_times(
    docker: DockerApi, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    docker.write("c1", (1, BASE + 5, b"out\n"), (2, BASE + 6, b"err\r\n"))
    agent = start()
    eventually(lambda: len(server.entries) == 2)
    labels = 'container="web", stream="%s", team="shop"'
    assert sorted(server.entries) == [
        ("{" + labels % "stderr" + "}", BASE + 6, "err"),
        ("{" + labels % "stdout" + "}", BASE + 5, "out"),
    ]
    docker.write("c1", (1, BASE + 7, b"more\n"))
    eventually(lambda: "more" in server.lines())
    eventually(lambda: agent.metrics.docker_entries == 3)


def test_containers_come_and_go(
    docker: DockerApi, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    docker.containers["n"] = Container(key="n", name="noise")
    docker.write("n", (1, BASE, b"never\n"))
    agent = start()
    docker.containers["c2"] = Container(key="c2", name="late")
    docker.write("c2", (1, BASE, b"first and last\n"))
    eventually(lambda: server.lines() == ["first and last"])
    docker.end("c2")
    docker.write("c1", (1, BASE, b"still here\n"))
    eventually(lambda: "still here" in server.lines())
    assert docker.follows("n") == []
    assert agent.metrics.targets_failed["dropped"] == 1


def test_a_container_that_starts_again_is_followed_from_its_last_line(
    docker: DockerApi, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    docker.write("c1", (1, BASE, b"one\n"))
    start()
    eventually(lambda: server.lines() == ["one"])
    docker.end("c1")
    eventually(lambda: docker.asked.count(("/containers/c1/json", {})) == 2)  # found that it ended
    docker.containers["c1"].running = True
    docker.write("c1", (1, BASE + 3 * SECOND, b"two\n"))
    eventually(lambda: "two" in server.lines())
    assert docker.follows("c1")[-1] == str(BASE // SECOND)


def test_a_broken_connection_goes_on_at_the_last_second(
    docker: DockerApi, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    docker.write("c1", (1, BASE, b"a\n"), (1, BASE + 2 * SECOND, b"b\n"))
    start()
    eventually(lambda: server.lines() == ["a", "b"])
    docker.cut()
    docker.write("c1", (1, BASE + 2 * SECOND + 1, b"c\n"))
    eventually(lambda: "c" in server.lines())
    assert docker.follows("c1") == ["0", str(BASE // SECOND + 2)]
    # the second of the last line came again: the same entry, which the server knows
    assert [e[1:] for e in server.entries] == [
        (BASE, "a"),
        (BASE + 2 * SECOND, "b"),
        (BASE + 2 * SECOND, "b"),
        (BASE + 2 * SECOND + 1, "c"),
    ]


def test_after_a_restart_reading_goes_on_at_the_acknowledged_second(
    docker: DockerApi, start: Start, server: Any, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    docker.write("c1", (1, BASE, b"a\n"), (1, BASE + 5 * SECOND, b"b\n"))
    agent = start()
    eventually(lambda: server.lines() == ["a", "b"])
    agent.stop()
    assert f"cursor-c1: '{BASE // SECOND + 5}'" in (tmp_path / "positions.yaml").read_text()
    docker.write("c1", (1, BASE + 6 * SECOND, b"c\n"))
    start()
    eventually(lambda: "c" in server.lines())
    assert docker.follows("c1")[-1] == str(BASE // SECOND + 5)
    assert server.lines().count("a") == 1


def test_what_was_not_acknowledged_is_asked_for_again(
    docker: DockerApi, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    server.down = True
    docker.write("c1", (1, BASE, b"a\n"), (1, BASE + 5 * SECOND, b"b\n"))
    agent = start()
    eventually(lambda: agent.metrics.docker_entries == 2)
    agent._config = agent._config.model_copy(  # ends soon: nothing can be delivered
        update={"server": agent._config.server.model_copy(update={"graceful_shutdown_timeout": 0})}
    )
    agent.stop()
    server.down = False
    start()
    eventually(lambda: server.lines() == ["a", "b"])
    assert docker.follows("c1") == ["0", "0"]


def test_filters_and_a_terminal(
    docker: DockerApi, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    docker.containers["t"] = Container(key="t", name="shell", tty=True)
    docker.write("t", (1, BASE, b"typed\r\n"))
    docker.write("c1", (1, BASE, b"filtered\n"))
    start(", filters: [{name: name, values: [shell]}]")
    eventually(lambda: server.lines() == ["typed"])


def test_labels_of_a_container() -> None:
    networks = {"net1": {"Id": "net1", "Name": "bridge", "Scope": "local", "Labels": {"n.x": "y"}}}
    found = container_labels(Container(key="c1", name="web").listed(), networks, "localhost")
    prefix = "__meta_docker_"
    assert found == {
        "__address__": "172.17.0.2:80",
        f"{prefix}container_id": "c1",
        f"{prefix}container_name": "/web",
        f"{prefix}container_network_mode": "bridge",
        f"{prefix}network_id": "net1",
        f"{prefix}network_name": "bridge",
        f"{prefix}network_internal": "false",
        f"{prefix}network_ingress": "false",
        f"{prefix}network_scope": "local",
        f"{prefix}network_ip": "172.17.0.2",
        f"{prefix}network_label_n_x": "y",
        f"{prefix}port_private": "80",
        f"{prefix}port_public": "8080",
        f"{prefix}port_public_ip": "127.0.0.1",
    }


def test_a_container_without_networks_and_ports() -> None:
    about = {**Container(key="c1", name="web").listed(), "NetworkSettings": None, "Ports": []}
    assert container_labels(about, {}, "node", 99)["__address__"] == "node:99"


def test_an_address_that_docker_cannot_have() -> None:
    with pytest.raises(ValueError, match="must be unix://"):
        DockerSdConfig.model_validate({"host": "/var/run/docker.sock"})


# Frames and lines


def frame(kind: int, payload: bytes) -> bytes:
    """A frame."""
    return struct.pack(">B3xI", kind, len(payload)) + payload


@pytest.mark.parametrize("size", [1, 5, 8, 1000])
def test_frames_do_not_depend_on_where_reads_are_cut(size: int) -> None:
    data = frame(1, b"one") + frame(2, b"") + frame(1, b"x" * 300)
    chunks = [data[k : k + size] for k in range(0, len(data), size)]
    expected = [("stdout", b"one"), ("stderr", b""), ("stdout", b"x" * 300)]
    assert list(read_frames(chunks)) == expected
    lines = list(read_terminal([b"a\nb"[k : k + size] for k in range(0, 3, size)] + [b"c\n"]))
    assert lines == [("stdout", b"a\n"), ("stdout", b"bc\n")]


def test_what_is_no_frame() -> None:
    with pytest.raises(ValueError, match="frame of stream 60"):
        list(read_frames([b"<html>not docker</html>"]))


def test_parts_are_joined_by_stream_and_long_lines_are_cut() -> None:
    joiner = LineJoiner(10)
    at = stamp(BASE)
    assert list(joiner.add("stdout", at + b"one ")) == []
    assert list(joiner.add("stderr", at + b"err\n")) == [("stderr", BASE, b"err")]
    assert list(joiner.add("stdout", stamp(BASE + 1) + b"two\n")) == [("stdout", BASE, b"one two")]
    assert list(joiner.add("stdout", at + b"0123456789abc")) == [("stdout", BASE, b"0123456789")]
    assert list(joiner.add("stdout", at + b"rest")) == []
    assert list(joiner.add("stdout", at + b"end\n")) == []
    assert list(joiner.add("stdout", at + b"next\n")) == [("stdout", BASE, b"next")]
    with pytest.raises(ValueError, match="no time"):
        list(joiner.add("stdout", b"no time\n"))
