"""May this statement be run for somebody at a distance? One SELECT over the views, and no more.

DuckDB takes it apart; here is looked at what it names. Names of tables are those of the views or of
its own WITH, which are plain words: a file's name is none. Functions that give tables are few, and
none reads a file. Beside this, DuckDB itself lets no file be opened but those of the views.
"""

from collections.abc import Iterator, Set
from typing import Any

import orjson

from narfi.core.errors import InvalidRequestError

TABLE_FUNCTIONS = frozenset(("range", "generate_series", "unnest"))
REFUSED_FUNCTIONS = frozenset(("current_setting",))
"""They tell of the server."""
REFUSED_KINDS = frozenset(("SHOW_REF",))


class RefusedSqlError(InvalidRequestError):
    """A statement that is not run over HTTP."""


def check_select(serialized: str, views: Set[str]) -> None:
    """Look at what `json_serialize_sql` made of a text; raises `RefusedSqlError`."""
    found = orjson.loads(serialized)
    if found.get("error"):
        raise RefusedSqlError(f"only a SELECT is taken: {found.get('error_message', '')}")
    statements = found.get("statements", [])
    if len(statements) != 1:
        raise RefusedSqlError(f"one SELECT is taken, not {len(statements)} statements")
    nodes = list(_nodes(statements))
    own = {name for node in nodes for name in _with_names(node)}
    for name in own:
        if not (name.isascii() and name.isidentifier()):
            raise RefusedSqlError(f"the name {name!r} of a WITH must be a word")
    for node in nodes:
        _check(node, {*views, *own})


def _check(node: dict[str, Any], tables: Set[str]) -> None:
    kind = node.get("type")
    if kind in REFUSED_KINDS:
        raise RefusedSqlError("only a SELECT is taken: GET sql/tables tells of the tables")
    if kind == "BASE_TABLE":
        name = node.get("table_name", "")
        place = (node.get("catalog_name", ""), node.get("schema_name", ""))
        if name.lower() not in {table.lower() for table in tables} or place != ("", ""):
            raise RefusedSqlError(f"there is no table {name!r}: GET sql/tables tells of the tables")
    function = node.get("function_name")
    if kind == "TABLE_FUNCTION":
        inner = node.get("function")
        named = inner.get("function_name") if isinstance(inner, dict) else None
        if named not in TABLE_FUNCTIONS:
            raise RefusedSqlError(f"the function {named!r} gives no table here")
    if isinstance(function, str) and function.lower() in REFUSED_FUNCTIONS:
        raise RefusedSqlError(f"the function {function!r} is not there")


def _with_names(node: dict[str, Any]) -> Iterator[str]:
    held = node.get("cte_map")
    entries = held.get("map", []) if isinstance(held, dict) else []
    for entry in entries:
        yield str(entry.get("key", ""))


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    """All objects, however deep; without recursion, since a query may be deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
