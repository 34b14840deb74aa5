"""`docker_sd_configs`: logs of running containers over Docker's API (reference/agent.md §8.3).

One thread looks for containers, one follows each container's log from the second of its last
acknowledged line on; the server knows the lines of that second again.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson
from pydantic import field_validator

from narfi.core.relabel import RelabelRule
from promtail_agent.config_base import Section
from promtail_agent.discovery.kubernetes_pods import plain_name
from promtail_agent.durations import Interval
from promtail_agent.http_settings import HttpSettings, http_client
from promtail_agent.metrics import AgentMetrics
from promtail_agent.targets.docker_frames import LineJoiner, read_frames, read_terminal
from promtail_agent.targets.received import Queued, entry_of, public_labels

_log = logging.getLogger(__name__)

TIMEOUT_S = 15.0
AGAIN_AFTER_S = 1.0
IDLE_READ_S = 600.0
"""A silent log's TCP connection is opened anew after so long: a dead one would not be noticed."""
_META = "__meta_docker_"


class DockerFilter(Section):
    """A filter of Docker's container list."""

    name: str
    values: tuple[str, ...]


class DockerSdConfig(HttpSettings):
    """Where Docker listens and which containers are wanted."""

    host: str
    port: int = 80
    """Of `__address__` where a container has none."""
    host_networking_host: str = "localhost"
    refresh_interval: Interval = 60.0
    filters: tuple[DockerFilter, ...] = ()
    match_first_network: bool = True
    """Accepted; labels are always those of the first network."""

    @field_validator("host")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value.startswith(("unix://", "tcp://", "http://", "https://")):
            raise ValueError(f'host "{value}" must be unix://, tcp://, http:// or https://')
        return value


class DockerSource(Queued):
    """All containers of one Docker."""

    def __init__(
        self,
        *,
        config: DockerSdConfig,
        rules: Sequence[RelabelRule],
        metrics: AgentMetrics,
        cursors: Mapping[str, str],
        max_line_bytes: int = 0,
    ) -> None:
        super().__init__()
        self._config, self._rules, self._metrics = config, tuple(rules), metrics
        self._cursors = dict(cursors)
        self._max_line_bytes = max_line_bytes
        transport = None
        self._base = config.host.replace("tcp://", "http://")
        if config.host.startswith("unix://"):
            transport = httpx.HTTPTransport(uds=config.host.removeprefix("unix://"))
            self._base = "http://docker"
        self._http = http_client(config, {}, TIMEOUT_S, transport)
        self._closing = threading.Event()
        self._followed: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._look, name="docker", daemon=True).start()

    def close(self) -> None:
        """Stop following; threads that wait for a line are left to end by themselves."""
        self._closing.set()
        self._queue.close()

    def _look(self) -> None:
        while not self._closing.is_set():
            try:
                networks = {n["Id"]: n for n in self._get("/networks")}
                filters = {f.name: list(f.values) for f in self._config.filters}
                query = {"filters": orjson.dumps(filters).decode()} if filters else {}
                for container in self._get("/containers/json", query):
                    self._begin(container, networks)
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                _log.warning("docker cannot be asked host=%s error=%s", self._config.host, error)
            self._closing.wait(self._config.refresh_interval)

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        answer = self._http.get(self._base + path, params=query)
        answer.raise_for_status()
        return answer.json()

    def _begin(self, container: Mapping[str, Any], networks: Mapping[str, Any]) -> None:
        key = container["Id"]
        with self._lock:
            if key in self._followed:
                return
            self._followed.add(key)
        config = self._config
        labels = container_labels(container, networks, config.host_networking_host, config.port)
        if self._labels(labels, "stdout") is None and self._labels(labels, "stderr") is None:
            self._metrics.targets_failed["dropped"] += 1
            return
        arguments = (key, labels)
        threading.Thread(
            target=self._follow, args=arguments, name="docker-log", daemon=True
        ).start()

    def _labels(self, labels: Mapping[str, str], stream: str) -> Any:
        return public_labels({**labels, f"{_META}container_log_stream": stream}, self._rules)

    def _follow(self, key: str, labels: Mapping[str, str]) -> None:
        _log.info("following container id=%s", key[:12])
        while not self._closing.is_set():
            try:
                about = self._get(f"/containers/{key}/json")
                self._read(key, labels, terminal=bool(about["Config"].get("Tty")))
                if not self._get(f"/containers/{key}/json")["State"].get("Running"):
                    break
            except httpx.HTTPStatusError as error:
                if error.response.status_code == 404:
                    break
                _log.warning(
                    "log of a container broke off, will go on id=%s error=%s", key[:12], error
                )
            except httpx.ReadTimeout:
                continue
            except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
                self._metrics.docker_parsing_errors += isinstance(error, ValueError)
                _log.warning(
                    "log of a container broke off, will go on id=%s error=%s", key[:12], error
                )
            self._closing.wait(AGAIN_AFTER_S)
        with self._lock:
            self._followed.discard(key)

    def _read(self, key: str, labels: Mapping[str, str], *, terminal: bool) -> None:
        query = {
            "follow": "1",
            "stdout": "1",
            "stderr": "1",
            "timestamps": "1",
            "since": self._cursors.get(f"cursor-{key}", "0"),
        }
        of_stream = {s: self._labels(labels, s) for s in ("stdout", "stderr")}
        joiner = LineJoiner(self._max_line_bytes)
        url = f"{self._base}/containers/{key}/logs"
        local = self._config.host.startswith("unix://")
        timeout = httpx.Timeout(TIMEOUT_S, read=None if local else IDLE_READ_S)
        with self._http.stream("GET", url, params=query, timeout=timeout) as answer:
            answer.raise_for_status()
            frames = read_terminal if terminal else read_frames
            for stream, payload in frames(answer.iter_bytes()):
                for source, ts_ns, line in joiner.add(stream, payload):
                    cursor = str(ts_ns // 10**9)
                    self._cursors[f"cursor-{key}"] = cursor
                    found = of_stream[source]
                    if found is None:
                        continue
                    self._metrics.docker_entries += 1
                    if not self._queue.put(entry_of(found, ts_ns, line), f"cursor-{key}", cursor):
                        return


def container_labels(
    container: Mapping[str, Any],
    networks: Mapping[str, Any],
    host_address: str,
    default_port: int = 80,
) -> dict[str, str]:
    """Meta labels of a container: those of its first network and first port."""
    found = {
        f"{_META}container_id": container["Id"],
        f"{_META}container_name": (container.get("Names") or [""])[0],
        f"{_META}container_network_mode": container.get("HostConfig", {}).get("NetworkMode", ""),
    }
    for name, value in (container.get("Labels") or {}).items():
        found[f"{_META}container_label_{plain_name(name)}"] = value
    joined = (container.get("NetworkSettings") or {}).get("Networks") or {}
    address = host_address
    for _, network in sorted(joined.items()):
        about = networks.get(network.get("NetworkID", ""), {})
        address = network.get("IPAddress") or host_address
        found |= {
            f"{_META}network_id": about.get("Id", network.get("NetworkID", "")),
            f"{_META}network_name": about.get("Name", ""),
            f"{_META}network_internal": str(bool(about.get("Internal"))).lower(),
            f"{_META}network_ingress": str(bool(about.get("Ingress"))).lower(),
            f"{_META}network_scope": about.get("Scope", ""),
            f"{_META}network_ip": network.get("IPAddress", ""),
        }
        for name, value in (about.get("Labels") or {}).items():
            found[f"{_META}network_label_{plain_name(name)}"] = value
        break
    ports = container.get("Ports") or []
    if not ports:
        return {**found, "__address__": f"{address}:{default_port}"}
    found[f"{_META}port_private"] = str(ports[0].get("PrivatePort", ""))
    if ports[0].get("PublicPort"):
        found[f"{_META}port_public"] = str(ports[0]["PublicPort"])
        found[f"{_META}port_public_ip"] = ports[0].get("IP", "")
    return {**found, "__address__": f"{address}:{ports[0].get('PrivatePort')}"}
