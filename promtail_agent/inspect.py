"""`--inspect`: what does each stage do to each entry? Coloured differences on standard error."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from promtail_agent.entry import AgentEntry, as_text
from promtail_agent.stages.base import HeldFrom, Stage

Shown = Mapping[str, str]
_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"


def snapshot(entry: AgentEntry) -> Shown:
    """Everything of an entry that a stage may change, as text."""
    found = {"line": entry.line.decode("utf-8", "replace"), "timestamp": str(entry.ts_ns)}
    found |= {f"labels.{n}": v for n, v in entry.labels.values.items()}
    found |= {f"metadata.{n}": v for n, v in entry.metadata}
    for name, value in entry.extracted.items():
        text = as_text(value)
        found[f"extracted.{name}"] = "null" if text is None else text
    return found


class Inspector:
    """Prints differences."""

    def __init__(self, out: TextIO | None = None, colour: bool | None = None) -> None:
        self._out = out if out is not None else sys.stderr
        self._colour = self._out.isatty() if colour is None else colour

    def watch(self, name: str, stage: Stage) -> Stage:
        """The stage, with a look before and after it."""
        return _Watched(name, stage, self)

    def show(self, name: str, before: Shown, after: Iterable[Shown]) -> None:
        """One entry went in, some came out."""
        results = list(after)
        shown = [f"[inspect: {name} stage]: "]
        if not results:
            shown.append(self._line("-", "entry was dropped or is kept back"))
        for result in results:
            shown += self._difference(before, result)
        self._out.write("\n".join(shown) + "\n")  # at once: the log writes there too
        self._out.flush()

    def _difference(self, before: Shown, after: Shown) -> list[str]:
        shown: list[str] = []
        for key in {**before, **after}:
            old, new = before.get(key), after.get(key)
            if old == new:
                continue
            if old is not None:
                shown.append(self._line("-", f"{key}: {old!r}"))
            if new is not None:
                shown.append(self._line("+", f"{key}: {new!r}"))
        return shown or ["none"]

    def _line(self, sign: str, text: str) -> str:
        if self._colour:
            return f"{_RED if sign == '-' else _GREEN}{sign} {text}{_PLAIN}"
        return f"{sign} {text}"


class _Watched:
    """A stage under inspection: entries go in one by one."""

    def __init__(self, name: str, stage: Stage, inspector: Inspector) -> None:
        self._name, self._stage, self._inspector = name, stage, inspector

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        for entry in entries:
            before = snapshot(entry)
            results = list(self._stage.process([entry]))
            self._inspector.show(self._name, before, [snapshot(result) for result in results])
            yield from results

    def held_from(self, path: str, /) -> HeldFrom | None:
        return self._stage.held_from(path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        return self._stage.forget(path)

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        return self._stage.due(now_s)
