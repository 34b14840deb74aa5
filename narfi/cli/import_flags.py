"""Which flags do all imports have? The target, pace, patience, the state file."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from narfi.cli.flags import DEFAULT_ADDRESS, with_flags
from narfi.core.errors import AppError
from narfi.core.units import parse_bytes, parse_prometheus_duration
from narfi.history.errors import HistoryError
from narfi.history.place import Place

EXIT_MISSING = 3
"""Everything else is there, but some entries were refused, or counts differ."""
_REFUSED_BY_DEFAULT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFlags:
    """What every import is told."""

    target: Place = field(default_factory=lambda: Place(flag="to", url=DEFAULT_ADDRESS))
    to_tenant: str
    state: Path
    rate_bytes: float
    body_bytes: int
    give_up_s: float
    most_refused: int
    check: bool
    force: bool
    verify: bool


def target_flags(
    to: Annotated[str, typer.Option(help="Server that gets the entries.")] = "",
    to_token_file: Annotated[
        str, typer.Option(help="Its token; or NARFI_IMPORT_TO_TOKEN has it.")
    ] = "",
    to_user: Annotated[str, typer.Option(help="User of HTTP Basic.")] = "",
    to_password: Annotated[str, typer.Option(envvar="NARFI_IMPORT_TO_PASSWORD")] = "",
    to_header: Annotated[list[str] | None, typer.Option(help="'Name: value'; repeatable.")] = None,
    to_ca: Annotated[str, typer.Option(help="File of certificates that are trusted.")] = "",
    to_insecure: Annotated[bool, typer.Option(help="Trust any certificate.")] = False,
) -> Place:
    """The target, where it is a server."""
    return Place(
        flag="to",
        url=to,
        token_file=to_token_file,
        user=to_user,
        password=to_password,
        headers=tuple(to_header or ()),
        ca_file=to_ca,
        skip_verify=to_insecure,
    )


def _import_flags(
    to_tenant: Annotated[
        str, typer.Option(help="Tenant there; that of the source if not given.")
    ] = "",
    state: Annotated[
        Path, typer.Option(help="What was done; the same command goes on where it stopped.")
    ] = Path("narfi-import.state"),
    rate: Annotated[str, typer.Option(help="Pushed at most, a second, as 2MB.")] = "",
    push_bytes: Annotated[str, typer.Option(help="Size of one push.")] = "1MiB",
    give_up: Annotated[str, typer.Option(help="Wait so long for a busy server.")] = "10m",
    max_refused: Annotated[
        int, typer.Option(min=0, help="Stop when more entries are refused; 0: never.")
    ] = _REFUSED_BY_DEFAULT,
    check: Annotated[bool, typer.Option(help="Only look whether it would work.")] = False,
    force: Annotated[bool, typer.Option(help="Begin though the target's limits say no.")] = False,
    verify: Annotated[bool, typer.Option(help="Compare counts afterwards.")] = False,
) -> ImportFlags:
    """Flags of every import, as what they mean."""
    return ImportFlags(
        to_tenant=to_tenant,
        state=state,
        rate_bytes=float(_size(rate, "rate")) if rate else 0.0,
        body_bytes=_size(push_bytes, "push-bytes"),
        give_up_s=_duration_ns(give_up, "give-up") / 1e9,
        most_refused=max_refused,
        check=check,
        force=force,
        verify=verify,
    )


def _size(text: str, flag: str) -> int:
    try:
        return parse_bytes(text)
    except AppError:
        raise HistoryError(f"--{flag} {text!r} is no size: write for instance 2MB") from None


def _duration_ns(text: str, flag: str) -> int:
    try:
        return parse_prometheus_duration(text)
    except AppError:
        raise HistoryError(f"--{flag} {text!r} is no duration: write for instance 10m") from None


def import_command(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the flags of imports; its argument `flags` becomes an `ImportFlags`."""

    @functools.wraps(command)
    def joined(flags: ImportFlags, target: Place, **arguments: Any) -> None:
        url = target.url or DEFAULT_ADDRESS
        command(flags=replace(flags, target=replace(target, url=url)), **arguments)

    own = list(inspect.signature(command).parameters.values())
    target = inspect.Parameter("target", inspect.Parameter.KEYWORD_ONLY, annotation=Place)
    joined.__signature__ = inspect.Signature([*own, target])  # type: ignore[attr-defined]
    return with_flags(_import_flags, "flags")(with_flags(target_flags, "target")(joined))


def source_flags(
    from_: Annotated[str, typer.Option("--from", help="Server that has the entries.")],
    from_token_file: Annotated[
        str, typer.Option(help="Its token; or NARFI_IMPORT_FROM_TOKEN has it.")
    ] = "",
    from_user: Annotated[str, typer.Option(help="User of HTTP Basic.")] = "",
    from_password: Annotated[str, typer.Option(envvar="NARFI_IMPORT_FROM_PASSWORD")] = "",
    from_header: Annotated[
        list[str] | None, typer.Option(help="'Name: value'; repeatable.")
    ] = None,
    from_ca: Annotated[str, typer.Option(help="File of certificates that are trusted.")] = "",
    from_insecure: Annotated[bool, typer.Option(help="Trust any certificate.")] = False,
) -> Place:
    """The source, where it is a server."""
    return Place(
        flag="from",
        url=from_,
        token_file=from_token_file,
        user=from_user,
        password=from_password,
        headers=tuple(from_header or ()),
        ca_file=from_ca,
        skip_verify=from_insecure,
    )
