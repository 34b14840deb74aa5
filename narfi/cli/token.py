"""`narfi token`: who may sign in? Tokens in the catalog, made and revoked while a server runs.

A token is printed once, alone on the standard output; what else is told goes to the standard error.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from narfi.cli.data_folder import ConfigFlag, DataDirFlag, settings_of, telling_os_errors
from narfi.cli.flags import UsageError
from narfi.cli.output import shown_time
from narfi.core.units import parse_prometheus_duration

if TYPE_CHECKING:
    from narfi.core.settings import Settings
    from storage.catalog.tokens import TokenRow, TokenStore

token = typer.Typer(no_args_is_help=True, help="Who may sign in (auth.enabled).")

Tenants = Annotated[
    list[str] | None, typer.Option("--tenant", help="Repeatable; '*': all tenants.")
]
Scopes = Annotated[
    list[str],
    typer.Option("--scope", help="read, write, delete, rules, admin or metrics; repeatable."),
]
Name = Annotated[str, typer.Option("--name", help="What it is for; shown in lists and logs.")]
Policy = Annotated[
    str, typer.Option("--policy", help="A selector: the only streams it may read and delete.")
]
Which = Annotated[str, typer.Argument(help="The token's id, or its name.")]
Expires = Annotated[str, typer.Option("--expires", help="After which time it ends: 90d.")]


@token.callback()
def _token() -> None:
    """Who may sign in."""


@token.command()
def create(
    scope: Scopes,
    tenant: Tenants = None,
    name: Name = "",
    policy: Policy = "",
    expires: Expires = "",
    data_dir: DataDirFlag = "",
    config: ConfigFlag = "",
) -> None:
    """Make a token and print it, once."""
    from narfi.access.grants import make_grant
    from narfi.access.secret import digest_of, new_token
    from storage.catalog.tokens import TokenRow

    settings = settings_of(data_dir, config)
    made, now = new_token(), time.time_ns()
    row = TokenRow(
        token_id=made.token_id,
        name=name or made.token_id,
        tenants=_tenants(settings, tenant or [], scope),
        scopes=_names(scope),
        policy=policy,
        digest=digest_of(made.secret),
        created_ns=now,
        expires_ns=now + parse_prometheus_duration(expires) if expires else None,
    )
    make_grant(row.name, row.tenants, row.scopes, row.policy)
    with _store(settings, make=True) as store:
        store.add(row)
    print(made.text)
    _say(f"token {row.token_id} ({row.name}): {_what(row)}; it is not shown again")
    if not settings.auth.enabled:
        _say("auth.enabled is off in these settings: the server asks nobody for a token")


@token.command("list")
def list_tokens(
    data_dir: DataDirFlag = "",
    config: ConfigFlag = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print all tokens of the catalog, without their secrets."""
    with _store(settings_of(data_dir, config)) as store:
        rows = store.tokens()
    for row in rows:
        if as_json:
            print(json.dumps(_told(row), ensure_ascii=False))
        else:
            print(f"{row.token_id}  {row.name}  {_what(row)}{_until(row)}")


@token.command()
def revoke(which: Which, data_dir: DataDirFlag = "", config: ConfigFlag = "") -> None:
    """Forget a token: a running server lets nobody in by it after a few seconds."""
    with _store(settings_of(data_dir, config)) as store:
        for row in store.named(which):
            store.remove(row.token_id)
            print(f"token {row.token_id} ({row.name}) is revoked")


@token.command()
def rotate(
    which: Which,
    keep_old: Annotated[
        str, typer.Option("--keep-old", help="How long the old one goes on: 1h.")
    ] = "0s",
    expires: Expires = "",
    data_dir: DataDirFlag = "",
    config: ConfigFlag = "",
) -> None:
    """Make a token that may do the same, and end the old one."""
    from dataclasses import replace

    from narfi.access.secret import digest_of, new_token

    with _store(settings_of(data_dir, config)) as store:
        found = store.named(which)
        if len(found) > 1:
            ids = ", ".join(row.token_id for row in found)
            raise UsageError(f"there are {len(found)} tokens named {which!r}: give an id of {ids}")
        (old,) = found
        made, now = new_token(), time.time_ns()
        lifetime = parse_prometheus_duration(expires) if expires else _lifetime(old)
        new = replace(
            old,
            token_id=made.token_id,
            name=made.token_id if old.name == old.token_id else old.name,
            digest=digest_of(made.secret),
            created_ns=now,
            expires_ns=None if lifetime is None else now + lifetime,
        )
        until = now + parse_prometheus_duration(keep_old)
        store.replace(old, new, until)
    print(made.text)
    _say(f"token {new.token_id} ({new.name}) does what {old.token_id} did; that one ends")


@token.command("hash")
def hash_token() -> None:
    """Make a token for a file of tokens: it is printed, and the line for the file told."""
    from narfi.access.secret import digest_of, new_token

    made = new_token()
    print(made.text)
    _say(f"hash: {made.token_id}:{digest_of(made.secret)}")


@contextmanager
def _store(settings: "Settings", *, make: bool = False) -> "Iterator[TokenStore]":
    """The tokens of the catalog; `make` one when there is none."""
    from storage.catalog.database import Database
    from storage.catalog.tokens import TokenStore
    from storage.vault.data_dir import DataDir

    data = DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
    with telling_os_errors():
        data.check_is_whole()
        if not (make or data.catalog_url or data.catalog.exists()):
            told = f"there is no catalog {data.catalog}: name the server's folder"
            raise UsageError(f"{told} (--data-dir) or its configuration (--config)")
        data.root.mkdir(parents=True, exist_ok=True)
        database = Database(data.catalog_url or f"sqlite:///{data.catalog.absolute()}")
    try:
        yield TokenStore(database)
    finally:
        database.close()


def _tenants(settings: "Settings", given: Sequence[str], scopes: Sequence[str]) -> tuple[str, ...]:
    """As given; else the only one there is, or all where the scopes know no tenant."""
    from narfi.access.grants import ALL_TENANTS, WHOLE_SERVER
    from narfi.core.tenant import DEFAULT_TENANT

    if given:
        return _names(given)
    if settings.tenancy == "single":
        return (DEFAULT_TENANT,)
    if set(_names(scopes)) <= WHOLE_SERVER:
        return (ALL_TENANTS,)
    raise UsageError("tenancy is `header`: say with --tenant for whom, '*' means all tenants")


def _names(given: Sequence[str]) -> tuple[str, ...]:
    """`--scope read,write` is as good as two flags."""
    found = [name.strip() for text in given for name in text.split(",")]
    return tuple(dict.fromkeys(name for name in found if name))


def _lifetime(row: "TokenRow") -> int | None:
    return None if row.expires_ns is None else row.expires_ns - row.created_ns


def _what(row: "TokenRow") -> str:
    policy = f" of {row.policy}" if row.policy else ""
    return f"{', '.join(row.scopes)}{policy} for {', '.join(row.tenants)}"


def _until(row: "TokenRow") -> str:
    if row.expires_ns is None:
        return ""
    word = "ended" if row.expires_ns <= time.time_ns() else "until"
    return f"  {word} {shown_time(row.expires_ns, utc=True)}"


def _told(row: "TokenRow") -> dict[str, object]:
    names = ("token_id", "name", "tenants", "scopes", "policy", "created_ns", "expires_ns")
    return {name: getattr(row, name) for name in names}


def _say(text: str) -> None:
    print(text, file=sys.stderr)
