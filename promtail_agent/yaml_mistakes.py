"""How is a mistake of a file told? By file, line and key."""

from collections.abc import Collection

from pydantic import BaseModel, ValidationError

from narfi.core.setting_mistakes import keys_at, meant_of, plain_words
from promtail_agent.yaml_lines import KeyPath, LinedYaml


def mistake_texts(
    document: LinedYaml,
    base: KeyPath,
    error: ValidationError,
    prefix: str = "",
    absent: Collection[str] = (),
    model: type[BaseModel] | None = None,
) -> list[str]:
    """One line for each mistake that pydantic found; keys of `absent` are known, but not there.

    With the `model` of the whole a key that was probably meant is named.
    """
    out: list[str] = []
    for mistake in error.errors(include_url=False):
        path: KeyPath = (*base, *mistake["loc"])
        if mistake["type"] == "extra_forbidden":
            known = path[-1] in absent
            message = "not supported" if known else "unknown key"
            if model is not None and not known:
                message += meant_of(str(path[-1]), keys_at(model, path[:-1]))
        elif mistake["type"] == "missing":
            message = "this key is required"
        else:
            message = plain_words(mistake["type"], mistake["msg"])
            message = message[:1].lower() + message[1:] if not prefix else message
        text = document.complain(path, prefix + message)
        if text not in out:
            out.append(text)
    return out
