"""How does an agent live as a process? Until a signal ends it; SIGHUP reads its configuration anew.

A configuration that cannot be read leaves the agent as it is; one that cannot be started is left
again for the one before.
"""

import dataclasses
import gc
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

from narfi.core.errors import AppError
from narfi.core.log import set_up_log
from promtail_agent.agent import Agent, RunOptions
from promtail_agent.config import AgentConfig
from promtail_agent.metrics import AgentMetrics
from promtail_agent.own_server import config_text

_log = logging.getLogger(__name__)

Load = Callable[[], AgentConfig]
_GC_THRESHOLDS = (20_000, 50, 50)
"""Entries make no cycles: looking for them at every 700 new ones took a tenth of the time."""
NOT_CHANGED = "config has not changed"


class AgentProcess:
    """One agent after the other; `run` returns when it is over."""

    def __init__(
        self,
        load: Load,
        options: RunOptions,
        told: Callable[[AgentConfig], None] = lambda _config: None,
    ) -> None:
        """`told` is called with each configuration before its agent starts."""
        self._load, self._told = load, told
        self._options = dataclasses.replace(options, reload=self.request_reload)
        self._metrics = AgentMetrics()
        self._config = load()
        self._next: AgentConfig | None = None
        self._turn = threading.Event()  # the agent of now shall stop
        self._over = False
        self.agent: Agent | None = None

    def run(self) -> None:
        """Raises `AppError` when the first agent cannot start, and whatever ended an agent."""
        agent = self._start(self._config)
        for notice in self._options.notices:
            _log.warning("%s", notice)
        while True:
            self._tell_of_config()
            agent.wait(self._turn)
            _log.info("agent stops")
            agent.stop()
            if agent.failure is not None:
                raise agent.failure
            if self._over or self._next is None:
                return
            self._turn.clear()
            agent = self._replace()

    def _tell_of_config(self) -> None:
        for notice in self._config.notices:
            _log.warning("%s", notice)
        for key in self._config.without_effect():
            _log.warning("setting has no effect here key=%s", key)
        if self._options.logs_config:
            for line in reversed(config_text(self._config).splitlines()):
                _log.info("%s", line)

    def end(self) -> None:
        """Stop the agent and return from `run`; may be called by a signal."""
        self._over = True
        self._turn.set()

    def request_reload(self) -> str:
        """Read the configuration; the agent is replaced soon. What is wrong with it, or ""."""
        try:
            config = self._load()
        except AppError as error:
            return self._refuse(error.message)
        if config == self._config:
            return self._refuse(NOT_CHANGED)
        self._next = config
        self._turn.set()
        return ""

    def _refuse(self, why: str) -> str:
        self._metrics.reload_fail += 1
        _log.error("failed to reload config, the one before stays error=%s", why)
        return why

    def _replace(self) -> Agent:
        assert self._next is not None
        before, self._config, self._next = self._config, self._next, None
        try:
            agent = self._start(self._config)
        except AppError as error:
            self._refuse(error.message)
            self._config = before
            return self._start(before)
        self._metrics.reload_success += 1
        return agent

    def _start(self, config: AgentConfig) -> Agent:
        self._told(config)
        agent = self.agent = Agent(config, self._options, self._metrics)
        try:
            agent.start()
        except BaseException:
            agent.abandon()
            raise
        jobs, clients = len(config.scrape_configs), len(config.clients)
        _log.info("agent started jobs=%d clients=%d", jobs, clients)
        return agent


def _set_up_log(config: AgentConfig) -> None:
    set_up_log(config.server.log_level, config.server.log_format)


def run_agent(load: Load, options: RunOptions | None = None) -> None:
    """Run until SIGTERM or SIGINT, or the end of the standard input; SIGHUP reloads."""
    gc.set_threshold(*_GC_THRESHOLDS)
    process = AgentProcess(load, options or RunOptions(), _set_up_log)

    def on_stop(_number: int, _frame: FrameType | None) -> None:
        process.end()

    def on_hangup(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=process.request_reload, daemon=True).start()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, on_hangup)
    process.run()
