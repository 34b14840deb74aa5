"""The life of one alert, slow and obvious: its whole history is read anew at every evaluation.

History: (time, whether the series was in the result, whether the result may miss something), one
item for each evaluation that went well, whoever made it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FORGET = 15 * 60


@dataclass(frozen=True)
class Now:
    """What is true after the last evaluation; times in s, None is never."""

    state: str
    active: int | None = None
    fired: int | None = None
    resolved: int | None = None


def life(history: Sequence[tuple[int, bool, bool]], hold: int, keep: int, tolerance: int) -> Now:
    """The state after the history: "none", "pending", "firing" or "over"."""
    state, active, fired, resolved, gone_since, before = "none", 0, 0, 0, None, None
    for time, seen, partial in history:
        if seen and state in ("none", "over"):
            state, active, gone_since = "pending", time, None
        elif seen:
            gone_since = None
            if state == "pending" and before is not None and time - before > tolerance:
                active = time
        elif state == "pending" and not partial:
            state = "none"
        elif state == "firing" and not partial:
            if gone_since is None:
                gone_since = time
            if keep == 0 or time - gone_since >= keep:
                state, resolved = "over", time
        elif state == "over" and time - resolved > FORGET:
            state = "none"
        if state == "pending" and seen and time - active >= hold:
            state, fired = "firing", time
        before = time
    match state:
        case "none":
            return Now("none")
        case "pending":
            return Now("pending", active)
        case "firing":
            return Now("firing", active, fired)
    return Now("over", active, fired, resolved)
