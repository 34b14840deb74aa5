"""Are the tables from errors to statuses total?"""

from narfi.core.errors import ErrorKind, InvalidRequestError
from narfi.server import grpc_errors, http_errors


def test_every_kind_has_an_http_status() -> None:
    assert set(http_errors.STATUS) == set(ErrorKind)


def test_every_kind_has_a_grpc_status() -> None:
    assert set(grpc_errors.STATUS) == set(ErrorKind)


def test_an_error_that_names_megabytes_is_answered_with_less() -> None:
    answer = http_errors.answer_of("/loki/api/v1/push", InvalidRequestError("x" * (8 << 20)))
    assert len(answer.body) < 70_000
    assert bytes(answer.body).endswith(b"xx... (8388608 characters in all)\n")
