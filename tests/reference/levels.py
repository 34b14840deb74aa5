"""The rule for words of a level, one word after another. See narfi/core/kernels/levels.py."""

BEFORE = b" \t\n[({\"'=|"
BEHIND = BEFORE + b"])}:,!"
WORDS = {
    "trace": b"trace",
    "debug": b"debug",
    "info": b"info",
    "warn": b"warn warning",
    "error": b"error err",
    "critical": b"critical",
    "fatal": b"fatal",
}


def word_level(line: bytes) -> str:
    """The level that the first word of a level names, where it stands alone; else "unknown"."""
    text = line.lower()
    for place in range(len(text)):
        if place > 0 and text[place - 1] not in BEFORE:
            continue
        for level, words in WORDS.items():
            for word in words.split():
                behind = text[place + len(word) : place + len(word) + 1]
                if text.startswith(word, place) and (not behind or behind in BEHIND):
                    return level
    return "unknown"
