"""How many random examples does a property get?

A quarter in the gate, which asks thousands of properties; all of them with NARFI_TEST_PROFILE=deep
(`make properties`); twenty times as many, and new ones, with NARFI_TEST_PROFILE=search.
"""

import os

PROFILE = os.environ.get("NARFI_TEST_PROFILE", "gate")
SHARE = {"gate": 0.25, "deep": 1.0, "search": 20.0}[PROFILE]
LEAST = 10
"""What is asked of a property is asked more than once or twice."""


def examples(whole: int) -> int:
    """The share of `whole` that this profile asks for."""
    return max(round(whole * SHARE), min(whole, LEAST))
