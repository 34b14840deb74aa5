"""Does `narfi token` print a token alone, keep no secret, and refuse what makes no sense?"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from narfi.access.secret import is_of, parse_token
from storage.catalog.database import Database
from storage.catalog.tokens import TokenRow, TokenStore


def run(
    folder: Path, *arguments: str, code: int = 0, variables: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """What a command prints on both outputs."""
    command = [sys.executable, "-m", "narfi.cli", "token", *arguments]
    if arguments[0] != "hash":
        command += ["--data-dir", str(folder)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {f"NARFI_{name}": value for name, value in (variables or {}).items()},
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def rows(folder: Path) -> list[TokenRow]:
    """Of the catalog."""
    database = Database(f"sqlite:///{folder}/catalog.db")
    found = list(TokenStore(database).tokens())
    database.close()
    return found


def test_a_token_is_printed_alone_and_kept_as_a_digest(tmp_path: Path) -> None:
    out, err = run(tmp_path, "create", "--scope", "read", "--scope", "write", "--name", "one")
    assert out.count("\n") == 1
    made = parse_token(out.strip())
    assert made is not None
    (row,) = rows(tmp_path)
    assert (row.name, row.tenants, row.scopes) == ("one", ("fake",), ("read", "write"))
    assert is_of(made.secret, row.digest)
    assert made.secret not in err
    assert "auth.enabled is off" in err
    for path in tmp_path.iterdir():
        assert made.secret.encode() not in path.read_bytes()


@pytest.mark.parametrize("arguments", [["list"], ["revoke", "x"], ["rotate", "x"]])
def test_a_folder_of_no_server_is_told_and_stays_as_it_is(
    tmp_path: Path, arguments: list[str]
) -> None:
    _, err = run(tmp_path / "wrong", *arguments, code=1)
    assert "there is no catalog" in err
    assert "(--data-dir)" in err
    assert not (tmp_path / "wrong").exists()


def test_tenants_are_named_where_there_are_several(tmp_path: Path) -> None:
    several = {"TENANCY": "header", "AUTH__ENABLED": "true"}
    _, err = run(tmp_path, "create", "--scope", "read", code=1, variables=several)
    assert "--tenant" in err
    _, err = run(tmp_path, "create", "--scope", "read,write", "--tenant", "a,b", variables=several)
    assert "off" not in err
    run(tmp_path, "create", "--scope", "admin", variables=several)
    assert [(row.tenants, row.scopes) for row in rows(tmp_path)] == [
        (("a", "b"), ("read", "write")),
        (("*",), ("admin",)),
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "--scope", "reed"], "'reed' is no scope"),
        (["create", "--scope", "rules", "--policy", '{a="b"}'], "cannot be enforced"),
        (["create", "--scope", "read", "--policy", "{a"], "is not a selector"),
        (["create", "--scope", "read", "--name", "a\nb"], "can be printed"),
        (["create", "--scope", "read", "--expires", "soon"], "soon"),
        (["create", "--scope", "admin", "--tenant", "a"], "of the whole server"),
        (["revoke", "nobody"], "no token 'nobody'"),
        (["rotate", "nobody"], "no token 'nobody'"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    Database(f"sqlite:///{tmp_path}/catalog.db").close()
    out, err = run(tmp_path, *arguments, code=1)
    assert out == ""
    assert told in err
    assert err.count("\n") == 1
    assert not (tmp_path / "catalog.db").exists() or rows(tmp_path) == []


def test_tokens_are_rotated_and_end(tmp_path: Path) -> None:
    run(tmp_path, "create", "--scope", "read", "--name", "n", "--expires", "30d")
    first = rows(tmp_path)[0]
    out, _ = run(tmp_path, "rotate", "n", "--keep-old", "1h")
    old, new = sorted(rows(tmp_path), key=lambda row: row.created_ns)
    assert old.token_id == first.token_id
    assert old.expires_ns is not None
    assert new.expires_ns is not None
    assert 0 < old.expires_ns - time.time_ns() <= 3600 * 10**9
    assert new.expires_ns - new.created_ns == 30 * 24 * 3600 * 10**9
    made = parse_token(out.strip())
    assert made is not None
    assert (made.token_id, is_of(made.secret, new.digest)) == (new.token_id, True)
    _, err = run(tmp_path, "rotate", "n", code=1)
    assert "give an id" in err
    shown = [json.loads(line) for line in run(tmp_path, "list", "--json")[0].splitlines()]
    assert [one["token_id"] for one in shown] == [old.token_id, new.token_id]
    assert all("digest" not in one for one in shown)
    run(tmp_path, "revoke", "n")
    assert rows(tmp_path) == []


def test_a_token_for_a_file(tmp_path: Path) -> None:
    out, err = run(tmp_path, "hash")
    made = parse_token(out.strip())
    assert made is not None
    token_id, _, digest = err.strip().removeprefix("hash: ").partition(":")
    assert (token_id, is_of(made.secret, digest)) == (made.token_id, True)
