"""Are names of structured metadata written as ingest-rules.md §2.3 says?"""

import pytest

from ingester.metadata_names import normalise_name, normalise_names
from narfi.core.errors import InvalidRequestError
from tests.ingester.pushed import NOW, pushed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trace_id", "trace_id"),
        ("k8s.pod-name", "k8s_pod_name"),
        ("a..b", "a_b"),
        ("7days", "key_7days"),
        ("__x.y__", "__x_y__"),
        ("é", None),
        ("___", None),
        ("", None),
    ],
)
def test_a_name(name: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(InvalidRequestError):
            normalise_name(name)
    else:
        assert normalise_name(name) == expected


def test_pairs_with_empty_values_are_none() -> None:
    pairs = pushed({'{app="a"}': [(NOW, b"", [("a.b", "1"), ("c", ""), ("d", "2")])]}).pairs
    found = normalise_names(pairs)
    assert found.name.to_list() == [b"a_b", b"d"]
    assert found.value.to_list() == [b"1", b"2"]
    assert found.row.tolist() == [0, 0]
