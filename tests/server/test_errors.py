"""Are the tables from errors to statuses total?"""

from narfi.core.errors import ErrorKind
from narfi.server import grpc_errors, http_errors


def test_every_kind_has_an_http_status() -> None:
    assert set(http_errors.STATUS) == set(ErrorKind)


def test_every_kind_has_a_grpc_status() -> None:
    assert set(grpc_errors.STATUS) == set(ErrorKind)
