"""Is one SELECT over the views taken, and nothing that looks past them?"""

import pytest

from querier.sql.selects import RefusedSqlError, check_select

duckdb = pytest.importorskip("duckdb")

VIEWS = frozenset(("logs", "shape_json_1"))
GOOD = (
    "select count(*) from logs",
    "SELECT * FROM Logs JOIN shape_json_1 USING (ts) WHERE line LIKE '%read_text(%' LIMIT 3;",
    "from logs -- 'file.parquet'",
    "with app as (select labels['app'] as a from logs) select a, count(*) from app group by all",
    "with recursive t as (select 1 a union all select a + 1 from t where a < 3) select * from t",
    "select * from (values (1), (2)) v(x), range(3) r, unnest([1]) u, generate_series(1, 2) g",
    "select (select max(ts) from logs) union all select min(ts) from shape_json_1",
)
BAD = (
    "",
    ";",
    "select 1; select 2",
    "select * from 'file.parquet'",
    'select * from "/etc/passwd"',
    "select * from read_text('/etc/passwd')",
    "select * from logs, read_parquet(['x.parquet'])",
    "select * from logs where exists (select * from glob('/*'))",
    "select * from narfi_streams",
    "select * from narfi_hidden",
    "select * from information_schema.tables",
    "select * from main.duckdb_views",
    "from duckdb_settings()",
    "from query('select 1')",
    "from query_table('narfi_streams')",
    'with "a/b.parquet" as (select 1) select * from logs',
    "select current_setting('allowed_directories')",
    "describe logs",
    "summarize logs",
    "show tables",
    "copy logs to 'x.csv'",
    "attach 'x.db'",
    "insert into logs values (1)",
    "create table x as select 1",
    "set threads = 9",
    "pragma database_list",
    "load httpfs",
    "explain select 1",
    "select from where",
)


def serialized(text: str) -> str:
    """As a session asks it."""
    ((found,),) = duckdb.connect().execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    return str(found)


@pytest.mark.parametrize("text", GOOD)
def test_what_is_taken(text: str) -> None:
    check_select(serialized(text), VIEWS)


@pytest.mark.parametrize("text", BAD)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(RefusedSqlError):
        check_select(serialized(text), VIEWS)
