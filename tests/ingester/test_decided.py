"""Is a record replayed with the settings of the time when it was accepted?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingester.decided import KNOWN, DecidedError, decided, limits_when_accepted
from narfi.core.limits import Limits

NAMES = st.lists(st.text(max_size=5), max_size=3).map(tuple)
TODAY = Limits(discover_service_name=("other",), log_level_fields=("x",), max_line_size=7)


def test_defaults_are_kept_as_a_number() -> None:
    assert decided(Limits()) == b"1"


def test_the_lists_of_number_1_never_change() -> None:
    """Records on disk hold the number: written out here so that a changed default is noticed."""
    allow, levels, services, fields, depth = KNOWN[b"1"]
    assert (allow, levels, depth) == (True, True, 2)
    assert services == (
        *("service", "app", "application", "app_name", "name", "app_kubernetes_io_name"),
        *("container", "container_name", "k8s_container_name", "component", "workload"),
        *("job", "k8s_job_name"),
    )
    assert fields == (
        *("level", "LEVEL", "Level", "log.level", "severity", "SEVERITY", "Severity"),
        *("SeverityText", "lvl", "LVL", "Lvl", "severity_text", "Severity_Text", "SEVERITY_TEXT"),
    )


@given(st.booleans(), st.booleans(), NAMES, NAMES, st.integers(0, 5))
def test_what_was_decided_comes_back_and_the_rest_is_todays(
    metadata: bool, levels: bool, services: tuple[str, ...], fields: tuple[str, ...], depth: int
) -> None:
    then = Limits(
        allow_structured_metadata=metadata,
        discover_log_levels=levels,
        discover_service_name=services,
        log_level_fields=fields,
        log_level_from_json_max_depth=depth,
    )
    found = limits_when_accepted(decided(then), TODAY)
    assert found == then.with_changes(max_line_size=7)


def test_records_of_older_versions_take_todays() -> None:
    assert limits_when_accepted(b"", TODAY) is TODAY


@pytest.mark.parametrize("kept", [b"99", b"{", b"[]", b'{"discover_log_levels":true}'])
def test_an_unknown_form_is_an_error(kept: bytes) -> None:
    with pytest.raises(DecidedError, match="unknown form"):
        limits_when_accepted(kept, TODAY)
