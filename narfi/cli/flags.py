"""Which flags do all commands share? Connection and output flags, by logcli's names and variables.

A command that is decorated with `connected` takes a `Context` first and has every shared flag; so
flags can stand behind the command, as they do for logcli (reference/logcli.md §1, §2).
"""

import functools
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from narfi.cli.client import Connection, Retries, Tls
from narfi.cli.output import Mode, TimeFormat, Zone
from narfi.core.errors import AppError, ErrorKind
from narfi.core.units import parse_go_duration

EXIT_WARNED = 3
"""With `--strict`: everything that is there was printed, but something is missing."""
DEFAULT_ADDRESS = "http://localhost:3100"


class UsageError(AppError):
    """A flag that cannot be used."""

    kind = ErrorKind.INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every command has: a server, and how answers are shown."""

    connection: Connection
    quiet: bool
    output: Mode
    utc: bool
    time_format: TimeFormat
    stats: bool
    stdin: bool
    strict: bool


def shared_flags(
    addr: Annotated[str, typer.Option(envvar="LOKI_ADDR", help="Server.")] = DEFAULT_ADDRESS,
    org_id: Annotated[str, typer.Option(envvar="LOKI_ORG_ID", help="Tenant.")] = "",
    username: Annotated[str, typer.Option(envvar="LOKI_USERNAME")] = "",
    password: Annotated[str, typer.Option(envvar="LOKI_PASSWORD")] = "",
    bearer_token: Annotated[str, typer.Option(envvar="LOKI_BEARER_TOKEN")] = "",
    bearer_token_file: Annotated[str, typer.Option(envvar="LOKI_BEARER_TOKEN_FILE")] = "",
    auth_header: Annotated[str, typer.Option(envvar="LOKI_AUTH_HEADER")] = "Authorization",
    header: Annotated[list[str] | None, typer.Option(help="'Name: value'; repeatable.")] = None,
    query_tags: Annotated[str, typer.Option(envvar="LOKI_QUERY_TAGS")] = "",
    nocache: Annotated[bool, typer.Option(envvar="LOKI_NO_CACHE")] = False,
    compress: Annotated[bool, typer.Option(envvar="LOKI_HTTP_COMPRESSION")] = False,
    retries: Annotated[int, typer.Option(envvar="LOKI_CLIENT_RETRIES", min=0)] = 0,
    min_backoff: Annotated[int, typer.Option(envvar="LOKI_CLIENT_MIN_BACKOFF")] = 0,
    max_backoff: Annotated[int, typer.Option(envvar="LOKI_CLIENT_MAX_BACKOFF")] = 0,
    ca_cert: Annotated[str, typer.Option(envvar="LOKI_CA_CERT_PATH")] = "",
    tls_skip_verify: Annotated[bool, typer.Option(envvar="LOKI_TLS_SKIP_VERIFY")] = False,
    cert: Annotated[str, typer.Option(envvar="LOKI_CLIENT_CERT_PATH")] = "",
    key: Annotated[str, typer.Option(envvar="LOKI_CLIENT_KEY_PATH")] = "",
    proxy_url: Annotated[str, typer.Option(envvar="LOKI_HTTP_PROXY_URL")] = "",
    envproxy: Annotated[
        bool, typer.Option(envvar="LOKI_ENV_PROXY", help="Proxies of HTTP_PROXY, HTTPS_PROXY.")
    ] = False,
    _log_level: Annotated[str, typer.Option("--log.level", hidden=True)] = "error",
    quiet: Annotated[bool, typer.Option("--quiet/--no-quiet", "-q", help="Only the data.")] = False,
    output: Annotated[Mode, typer.Option("--output", "-o")] = Mode.DEFAULT,
    timezone: Annotated[Zone, typer.Option("--timezone", "-z", case_sensitive=False)] = Zone.LOCAL,
    output_timestamp_format: Annotated[TimeFormat, typer.Option()] = TimeFormat.RFC3339,
    stats: Annotated[bool, typer.Option(help="Costs, on stderr.")] = False,
    stdin: Annotated[bool, typer.Option(help="Query lines from stdin.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings: exit status 3.")] = False,
) -> Context:
    """Flags of every command, as what they mean."""
    connection = Connection(
        address=addr,
        tenant=org_id,
        extra_headers=_headers(
            username, password, bearer_token, bearer_token_file, auth_header, header or []
        ),
        query_tags=query_tags,
        no_cache=nocache,
        compress=compress,
        retries=Retries(retries, min_backoff, max_backoff),
        tls=Tls(ca_cert, tls_skip_verify, cert, key),
        proxy=proxy_url,
        proxy_of_environment=envproxy,
        quiet=quiet,
    )
    return Context(
        connection=connection,
        quiet=quiet,
        output=output,
        utc=timezone is Zone.UTC,
        time_format=output_timestamp_format,
        stats=stats,
        stdin=stdin,
        strict=strict,
    )


def _headers(
    username: str, password: str, token: str, token_file: str, auth_header: str, given: list[str]
) -> tuple[tuple[str, str], ...]:
    """Headers of the request; refuses credentials that exclude each other."""
    import base64
    from pathlib import Path

    found: list[tuple[str, str]] = []
    if token and token_file:
        message = "at most one of the options bearer-token & bearer-token-file is allowed to be"
        raise UsageError(f"{message} configured")
    if (username or password) and (token or token_file):
        message = "at most one of HTTP basic auth (username/password), bearer-token &"
        raise UsageError(f"{message} bearer-token-file is allowed to be configured")
    if username and password:
        text = base64.b64encode(f"{username}:{password}".encode()).decode()
        found.append((auth_header, f"Basic {text}"))
    for line in given:
        name, colon, value = line.partition(":")
        if not colon:
            raise UsageError(
                f"invalid header format: \"{line}\". Expected format: 'Header-Name: value'"
            )
        if not name.strip():
            raise UsageError(f'header name cannot be empty in header: "{line}"')
        found.append((name.strip(), value.strip()))
    if token_file:
        try:
            token = Path(token_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"unable to read {token_file}: {error.strerror}") from error
    if token:
        found.append((auth_header, f"Bearer {token}"))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """`[start, end)` in ns."""

    start_ns: int
    end_ns: int


def _span(
    since: Annotated[
        str, typer.Option(help="How far back from now, when --from is absent.")
    ] = "1h",
    from_: Annotated[str, typer.Option("--from", help="Start, RFC 3339.")] = "",
    to: Annotated[str, typer.Option("--to", help="End (exclusive), RFC 3339.")] = "",
) -> TimeSpan:
    """The time flags."""
    now_ns = time.time_ns()
    end_ns = parse_time(to, "to") if to else now_ns
    start_ns = parse_time(from_, "from") if from_ else now_ns - parse_go_duration(since)
    return TimeSpan(start_ns, end_ns)


def parse_time(text: str, flag: str) -> int:
    """RFC 3339 with a zone, up to nanoseconds."""
    base, dot, rest = text.partition(".")
    digits = ""
    while dot and rest[:1].isdigit():
        digits, rest = digits + rest[0], rest[1:]
    try:
        moment = datetime.fromisoformat(base + rest)
    except ValueError:
        raise UsageError(f"Unable to parse time {text!r} of --{flag}") from None
    if moment.tzinfo is None:
        raise UsageError(f"Unable to parse time {text!r} of --{flag}: it needs a zone")
    return int(moment.timestamp()) * 10**9 + int((digits + "0" * 9)[:9])


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the shared flags; its first argument becomes a `Context`.

    It exits with `EXIT_WARNED` when an answer lacked something, where that was asked for.
    """

    @functools.wraps(command)
    def strictly(context: Context, **arguments: Any) -> None:
        command(context=context, **arguments)
        if context.strict and context.connection.warned:
            raise typer.Exit(EXIT_WARNED)

    return _injected(strictly, shared_flags)


def connected_to_file(command: Callable[..., None]) -> Callable[..., None]:
    """As `connected`, for a command whose `-o` names a file, not a form."""

    def made(**arguments: Any) -> Context:
        return shared_flags(**arguments)

    flags = inspect.signature(shared_flags).parameters.values()
    left = [flag for flag in flags if flag.name != "output"]
    made.__signature__ = inspect.Signature(left)  # type: ignore[attr-defined]
    return _injected(command, made)


def with_times(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the time flags; its argument `span` becomes a `TimeSpan`."""
    return _injected(command, _span, "span")


def with_flags(
    maker: Callable[..., Any], name: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose argument `name` is made of the maker's flags."""
    return lambda command: _injected(command, maker, name)


def _injected(
    command: Callable[..., None], maker: Callable[..., Any], name: str = ""
) -> Callable[..., None]:
    """The command with the maker's parameters in place of one of its own."""
    added = inspect.signature(maker).parameters
    own = dict(inspect.signature(command).parameters)
    name = name or next(iter(own))
    del own[name]

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        made = maker(**{key: arguments.pop(key) for key in added})
        command(**{name: made}, **arguments)

    required = [p for p in own.values() if p.default is inspect.Parameter.empty]
    optional = [p for p in own.values() if p.default is not inspect.Parameter.empty]
    every = [*required, *optional, *added.values()]
    kinds = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in every]
    wrapped.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in kinds}
    return wrapped
