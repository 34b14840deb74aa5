"""What may a query of several tenants do? Only what each of them may."""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from narfi.core.limits import CEILINGS, PERMISSIONS, Limits, strictest

ONE = st.builds(
    Limits,
    **dict.fromkeys(CEILINGS, st.integers(0, 5)),
    **dict.fromkeys(PERMISSIONS, st.booleans()),
    required_labels=st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
    minimum_labels_number=st.integers(0, 3),
)


def allows(limit: int, asked: int) -> bool:
    return limit == 0 or asked <= limit


@given(st.lists(ONE, min_size=1, max_size=3), st.integers(1, 6))
def test_a_query_of_several_tenants_may_do_what_each_may(limits: list[Limits], asked: int) -> None:
    found = strictest(limits)
    for name in CEILINGS:
        assert allows(getattr(found, name), asked) == all(
            allows(getattr(one, name), asked) for one in limits
        )
    for name in PERMISSIONS:
        assert getattr(found, name) == all(getattr(one, name) for one in limits)
    assert set(found.required_labels) == {n for one in limits for n in one.required_labels}
    assert found.minimum_labels_number == max(one.minimum_labels_number for one in limits)


def test_one_tenant_keeps_its_limits() -> None:
    own = Limits(max_query_series=7)
    assert strictest([own]) is own


def test_every_name_is_a_limit() -> None:
    names = {field.name for field in fields(Limits)}
    assert names >= {*CEILINGS, *PERMISSIONS}
