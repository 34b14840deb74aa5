"""Does a request get what it may, and not more, and is everything given back?"""

import threading

import pytest

from narfi.core.limits import Limits
from querier.budget import (
    Budget,
    MemoryBusyError,
    QueryBytesError,
    QueryCancelledError,
    QueryMemoryError,
    QueryTimeoutError,
    Total,
)
from storage.cache import ByteCache

MIB = 1 << 20


def begun(total: Total | None = None, **limits: int) -> Budget:
    budget = Budget(total)
    budget.begin(Limits().with_changes(**limits))
    return budget


def test_too_much_memory_names_limit_value_and_setting() -> None:
    budget = begun(max_query_memory=MIB)
    budget.charge(MIB)
    with pytest.raises(QueryMemoryError) as found:
        budget.charge(MIB // 2)
    assert found.value.message.startswith(
        "the query needs too much memory (query: 1.5 MiB, limit: 1.0 MiB, set by max_query_memory)"
    )
    assert (budget.used, budget.peak) == (MIB, MIB)  # what is refused is not charged
    budget.release(MIB)
    budget.charge(MIB)
    begun(max_query_memory=0).charge(1 << 50)  # without limit


def test_an_account_gives_back_what_it_took() -> None:
    budget = begun(max_query_memory=100)
    with budget.account() as account:
        account.charge(60)
        with account.held(30):
            assert budget.used == 90
            with pytest.raises(QueryMemoryError):
                account.charge(20)
        assert (account.used, budget.used) == (60, 60)
        with budget.account() as other:
            account.hand_over(50, other)
            assert (account.used, other.used, budget.used) == (10, 50, 60)
    assert (budget.used, budget.peak) == (0, 90)


def test_all_requests_together_have_a_bound() -> None:
    total = Total(100)
    one, other = begun(total), begun(total)
    one.charge(80)
    with pytest.raises(MemoryBusyError, match=r"querier\.max_memory is 100 B, 30 B more"):
        other.charge(30)
    assert other.used == 0
    one.close()
    other.charge(30)
    assert total.used == 30


def test_what_has_ended_holds_nothing_and_takes_nothing_more() -> None:
    total = Total(100)
    budget = begun(total)
    straggler = budget.account()
    straggler.charge(70)
    budget.close()
    assert total.used == 0
    with pytest.raises(QueryCancelledError):
        straggler.charge(1)
    straggler.close()
    budget.close()
    assert (total.used, budget.used) == (0, 0)
    with pytest.raises(QueryCancelledError):
        budget.check()


def test_the_clock_starts_once() -> None:
    budget = begun(query_timeout_ns=1)
    budget.begin(Limits())  # the engine, when its turn has come
    with pytest.raises(QueryTimeoutError, match="query_timeout is 1e-09s"):
        budget.check()
    assert budget.left_s() == 0
    assert budget.is_over()
    patient = begun()
    patient.check()
    assert not patient.is_over()
    assert 0 < (patient.left_s() or 0) <= 60
    assert begun(query_timeout_ns=0).left_s() is None
    patient.cancel()
    with pytest.raises(QueryCancelledError):
        patient.check()


def test_bytes_to_read_are_refused_before_and_add_up() -> None:
    budget = begun(max_query_bytes_read=1024)
    budget.read(1024)
    with pytest.raises(QueryBytesError, match=r"\(query: 1\.5 KiB, limit: 1\.0 KiB\)"):
        budget.read(512)


def test_threads_charge_at_once() -> None:
    budget = begun()

    def work() -> None:
        for _ in range(2000):
            with budget.account() as account:
                account.charge(3)
            budget.charge(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.used == 8000


def test_large_requests_leave_room_for_small_ones() -> None:
    total = Total(3200)
    one, other, small = begun(total), begun(total), begun(total)
    one.charge(2000)
    other.charge(800)
    with pytest.raises(MemoryBusyError):
        other.charge(1)
    small.charge(100)
    with pytest.raises(MemoryBusyError):
        small.charge(1)  # it holds no little any more
    one.close()
    other.close()
    small.charge(3100)  # alone it has all


def test_a_cache_has_what_requests_leave_and_gives_way() -> None:
    total, cache = Total(100), ByteCache[str](80)
    total.share_with(cache)
    one = begun(total)
    for number in range(8):
        assert cache.put(number, "", 10)
    one.charge(50)
    assert (cache.bytes, total.used) == (50, 50)
    assert [cache.get(number) is not None for number in range(8)] == [False] * 3 + [True] * 5
    assert cache.put("new", "", 20)  # in place of older ones
    assert cache.bytes == 50
    assert not cache.put("large", "", 51)
    one.charge(50)  # a cache is no reason to refuse
    assert (cache.bytes, total.used) == (0, 100)
    one.close()
    assert cache.put("large", "", 80)


def test_without_a_bound_for_all_a_cache_has_its_own() -> None:
    total, cache = Total(0), ByteCache[str](80)
    total.share_with(cache)
    assert cache.put("x", "", 80)
    begun(total, max_query_memory=0).charge(1 << 40)
    assert cache.bytes == 80
