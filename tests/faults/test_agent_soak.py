"""Every line exactly once while agent and server are killed and files rotate: a short soak."""

import pytest

from benchmarks.agent_soak import soak


@pytest.mark.slow
@pytest.mark.parametrize("spool", [False, True])
def test_a_short_soak(spool: bool) -> None:
    counts = soak(5, seed=7, spool=spool)
    assert counts["missing"] == 0
    assert counts["more_than_once"] == 0
    assert counts["lines"]
