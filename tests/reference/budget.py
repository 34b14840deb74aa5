"""How many random examples does a property get? More when faults are searched for."""

import os


def examples(gate: int) -> int:
    """`gate` in the gate, twenty times as many with NARFI_TEST_PROFILE=search."""
    return gate * 20 if os.environ.get("NARFI_TEST_PROFILE") == "search" else gate
