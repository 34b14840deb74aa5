"""What do the agent's pages look like? Targets and discovery, as plain HTML."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_STYLE = (
    "body{font-family:sans-serif;margin:2em}td,th{padding:.3em 1em;text-align:left;"
    "vertical-align:top}nav a{margin-right:1em}"
)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A file that is read."""

    job: str
    path: str
    labels: str
    offset: int


@dataclass(frozen=True, slots=True)
class JobRow:
    """What a job has discovered."""

    job: str
    active: Sequence[tuple[str, Mapping[str, str]]]
    dropped: Sequence[tuple[Mapping[str, str], str]]


def targets_page(rows: Iterable[TargetRow]) -> str:
    """Files and how far they were read."""
    cells = "".join(_row(row.job, row.path, _code(row.labels), str(row.offset)) for row in rows)
    return _page("Targets", f"<table>{_head('Job', 'File', 'Labels', 'Position')}{cells}</table>")


def discovery_page(rows: Iterable[JobRow]) -> str:
    """Targets before and after relabelling."""
    parts: list[str] = []
    for row in rows:
        active = "".join(_row(_code(p), _code(_labels(found))) for p, found in row.active)
        dropped = "".join(_row(_code(_labels(found)), why) for found, why in row.dropped)
        parts.append(
            f"<h2>{html.escape(row.job)}</h2>"
            f"<table>{_head('Path', 'Labels')}{active}</table>"
            f"<h3>Left out</h3><table>{_head('Labels', 'Reason')}{dropped}</table>"
        )
    return _page("Service discovery", "".join(parts))


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in sorted(labels.items()))


def _code(text: str) -> str:
    return f"\0{text}"


def _row(*cells: str) -> str:
    shown = (
        f"<code>{html.escape(c[1:])}</code>" if c.startswith("\0") else html.escape(c)
        for c in cells
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in shown) + "</tr>"


def _head(*names: str) -> str:
    return "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"


def _page(title: str, body: str) -> str:
    links = (("targets", "Targets"), ("service-discovery", "Service discovery"))
    more = (("config", "Config"), ("metrics", "Metrics"))
    nav = "".join(f'<a href="{path}">{name}</a>' for path, name in (*links, *more))
    return (
        f"<!doctype html><title>Narfi agent</title><style>{_STYLE}</style>"
        f"<nav>{nav}</nav><h1>{title}</h1>{body}"
    )
