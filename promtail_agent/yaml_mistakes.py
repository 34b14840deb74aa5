"""How is a mistake of a file told? By file, line and key."""

from collections.abc import Collection

from pydantic import ValidationError

from promtail_agent.yaml_lines import KeyPath, LinedYaml


def mistake_texts(
    document: LinedYaml,
    base: KeyPath,
    error: ValidationError,
    prefix: str = "",
    absent: Collection[str] = (),
) -> list[str]:
    """One line for each mistake that pydantic found; keys of `absent` are known, but not there."""
    out: list[str] = []
    for mistake in error.errors(include_url=False):
        path: KeyPath = (*base, *mistake["loc"])
        if mistake["type"] == "extra_forbidden":
            known = path[-1] in absent
            message = "not supported" if known else "unknown key"
        elif mistake["type"] == "missing":
            message = "this key is required"
        else:
            message = mistake["msg"].removeprefix("Value error, ").partition("\n")[0]
            message = message[:1].lower() + message[1:] if not prefix else message
        text = document.complain(path, prefix + message)
        if text not in out:
            out.append(text)
    return out
