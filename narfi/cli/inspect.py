"""`narfi inspect`: a stored block as annotated text, or as JSON."""

import json
from pathlib import Path

from storage.block.describe import describe_block
from storage.block.dump import dump_block


def run(path: str, *, as_json: bool = False) -> None:
    """Print the block in a folder."""
    if as_json:
        print(json.dumps(describe_block(Path(path)), indent=2))
    else:
        print(dump_block(Path(path)), end="")
