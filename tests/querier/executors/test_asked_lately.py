"""Have several tenants asked lately? Against a list of who asked when."""

from hypothesis import given
from hypothesis import strategies as st

from querier.executors.asked_lately import LATELY_S, AskedLately, asked_by_the_server

STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 1.0, 20.0, LATELY_S - 1, LATELY_S])),
    max_size=12,
)


@given(STEPS, st.sampled_from([0.0, 1.0, 20.0, LATELY_S]))
def test_as_a_list_of_all_that_was_asked(steps: list[tuple[str, float]], later: float) -> None:
    now_s = 1000.0
    lately, told = AskedLately(lambda: now_s), list[tuple[str, float]]()
    for tenant, seconds in steps:
        now_s += seconds
        lately.note(tenant)
        told.append((tenant, now_s))
        fresh = {name for name, at_s in told if now_s - at_s < LATELY_S}
        assert lately.are_several() == (len(fresh) > 1)
    now_s += later
    # whoever did not ask last decides: the last one asked no earlier
    assert lately.are_several() == (
        len({name for name, at_s in told if now_s - at_s < LATELY_S}) > 1
    )


def test_nobody_has_asked() -> None:
    assert not AskedLately().are_several()


def test_a_tenant_alone_asks_for_ever() -> None:
    now_s = 0.0
    lately = AskedLately(lambda: now_s)
    for name in "a", "b", *["b"] * 100:
        lately.note(name)
        now_s += 1
    assert not lately.are_several()


def test_what_the_server_asks_itself_does_not_count() -> None:
    lately = AskedLately(lambda: 0.0)
    with asked_by_the_server():
        lately.note("own")
    lately.note("a")
    with asked_by_the_server():
        lately.note("own")
    assert not lately.are_several()
    lately.note("b")
    assert lately.are_several()
