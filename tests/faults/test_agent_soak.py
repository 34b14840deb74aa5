"""Every line exactly once while agent and server are killed and files rotate: a short soak."""

import pytest

from benchmarks.agent_soak import soak


@pytest.mark.slow
def test_a_short_soak() -> None:
    counts = soak(15, seed=7)
    assert counts["missing"] == 0
    assert counts["more_than_once"] == 0
    assert counts["lines"]
