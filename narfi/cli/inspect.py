"""`narfi inspect`: a stored block as annotated text."""

from pathlib import Path

from storage.block.dump import dump_block


def run(path: str) -> None:
    """Print the block in a folder."""
    print(dump_block(Path(path)), end="")
