"""`narfi inspect`: a stored block as annotated text."""


def run(path: str) -> None:
    """Print the block in a folder."""
