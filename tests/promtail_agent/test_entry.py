"""Are label sets shared by the lines of a stream, and do they not pile up?"""

import gc

import pytest

from promtail_agent.entry import LabelSet, as_text


def test_the_same_steps_give_the_same_set() -> None:
    root = LabelSet({"job": "a"})
    first = root.with_label("stream", "stdout").with_label("level", "info")
    assert root.with_label("stream", "stdout").with_label("level", "info") is first
    assert first.text == '{job="a", level="info", stream="stdout"}'
    assert root.values == {"job": "a"}
    assert first.without(("level", "none")).values == {"job": "a", "stream": "stdout"}
    assert first.with_label("job", "").values == {"level": "info", "stream": "stdout"}


def test_a_tenant_is_no_label_of_the_text() -> None:
    found = LabelSet({"a": "b"}).with_label("__tenant_id__", "team")
    assert (found.text, found.tenant) == ('{a="b"}', "team")


def test_labels_of_many_values_do_not_pile_up() -> None:
    """Two labels with a thousand values each are a million sets."""
    root = LabelSet({"job": "a"})
    for user in range(300):
        for trace in range(100):
            root.with_label("user", str(user)).with_label("trace", f"{user}-{trace}")
    gc.collect()
    assert sum(type(one) is LabelSet for one in gc.get_objects()) < 3000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (12345678901234567890.0, "12345678901234567000"),
        (-0.5, "-0.5"),
        (7, "7"),
        (True, "true"),
        (None, None),
        (b"\xff", "\udcff"),
        ([], None),
    ],
)
def test_text_of_values(value: object, text: str | None) -> None:
    assert as_text(value) == text
