"""What does a process import before it does anything? Somebody waits for all of it."""

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "pyarrow", "numba", "sqlalchemy", "fastapi", "grpc", "httpx", "lark", "alembic"}
NEVER = {"pandas", "duckdb", "scipy", "matplotlib", "pytest", "setuptools", "IPython"} | {
    "obstore",
    "psycopg",
    "ray",
}


def modules_after(statement: str) -> set[str]:
    """Names of all modules of a process that ran the statement."""
    code = f"{statement}\nimport json, sys; print(json.dumps(list(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    ("module", "most", "without"),
    [
        ("narfi.server.lifecycle", 2120, NEVER | {"alembic"}),
        ("narfi.core.kernels.modules", 1100, NEVER | HEAVY - {"numpy", "numba"}),
        ("promtail_agent.agent", 750, NEVER | HEAVY - {"httpx"}),
        ("narfi.cli.main", 300, NEVER | HEAVY),
    ],
)
def test_modules_of_a_start(module: str, most: int, without: set[str]) -> None:
    """`most` is a tenth or more above what it was when this was written: raise it knowingly."""
    extra = ".import_all()" if module.endswith("kernels.modules") else ""
    found = modules_after(f"import {module}; {module + extra if extra else ''}")
    assert found & without == set()
    assert len(found) < most


def test_a_server_has_all_modules_before_it_is_asked() -> None:
    """Those that libraries import late are imported with it, so that no query waits for them."""
    late = "import pyarrow as pa, numpy as np; pa.array(np.arange(3))"
    at_start = modules_after(
        "from narfi.core.memory import leave_libraries_out; leave_libraries_out()\n"
        "import narfi.server.lifecycle"
    )
    afterwards = modules_after(
        "from narfi.core.memory import leave_libraries_out; leave_libraries_out()\n"
        f"import narfi.server.lifecycle\n{late}"
    )
    assert afterwards - at_start == set()
