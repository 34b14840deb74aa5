"""Does every error of ours come out of another process as it went in?"""

import contextlib
import importlib
import itertools
import pickle
import pkgutil
import urllib.parse
from collections.abc import Iterator

import pytest

import logql
import narfi.core
import querier
import storage
from narfi.core.errors import AppError, ErrorKind
from querier.metrics.samples import PipelineError
from querier.running import StoppingError
from storage.block.footer import DamagedBlockError
from storage.objects.base import BadObjectError


def classes(of: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """It and all below it that are imported."""
    yield of
    for kind in of.__subclasses__():
        yield from classes(kind)


def all_classes() -> list[type[AppError]]:
    """Of all parts that a query goes through."""
    for package in (narfi.core, logql, storage, querier):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".versions" in module.name or module.name.endswith((".env", ".ray_bridge")):
                continue  # run by Alembic; or by a process of its own, where Ray is installed
            importlib.import_module(module.name)
    ours = ("narfi.", "logql.", "storage.", "querier.")
    return sorted({one for one in classes() if one.__module__.startswith(ours)}, key=str)


def made(kind: type[AppError]) -> AppError:
    """An error of the class, whatever it takes to be made."""
    arguments: list[object] = ["a text", 3, (("a", "b"),), ErrorKind.INVALID]
    for count in range(5):
        for given in itertools.product(arguments, repeat=count):
            with contextlib.suppress(TypeError, AttributeError, ValueError):
                return kind(*given)  # type: ignore[arg-type]
    raise AssertionError(f"{kind} is made of something else: add it here")


def test_every_error_comes_back() -> None:
    found = all_classes()
    assert {BadObjectError, DamagedBlockError, PipelineError, StoppingError} < set(found)
    for kind in found:
        error = made(kind)
        error.__cause__ = ValueError()
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is kind
        assert str(back) == str(error)
        assert back.args == error.args
        assert vars(back) == vars(error)
        assert (back.kind, back.retry_after_s) == (kind.kind, kind.retry_after_s)


def test_a_kind_of_its_own_comes_with_it() -> None:
    back = pickle.loads(pickle.dumps(AppError("text", ErrorKind.TIMEOUT)))
    assert back.kind is ErrorKind.TIMEOUT
    assert back.message == "text"


@pytest.mark.parametrize("error", [PipelineError("Err", (("a", "b"),)), DamagedBlockError("k", 1)])
def test_what_an_error_holds_comes_with_it(error: AppError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert vars(back) == vars(error)
    assert len(vars(back)) > 1


@pytest.mark.parametrize("text", ["x" * 100_000, "\n" * 100_000, "\U0001f600" * 100_000])
def test_a_long_message_is_cut_for_clients_of_grpc(text: str) -> None:
    brief = AppError(text).brief
    assert len(urllib.parse.quote(brief)) < 8 << 10
    assert brief.startswith(text[:500])
    assert brief.endswith("... (100000 characters in all)")
    assert AppError("short").brief == "short"
