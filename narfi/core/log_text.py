"""How may a text from outside stand in the log? On its line, not too long, without secrets.

What is not printable is written as JSON escapes it, so a text can forge no line and move no cursor.
Of what looks like a token, a password in an address or a header of authorization, only the
beginning stays. Secrets are looked for before a text is cut, so that no half of one is left.
"""

import json
import re

MOST = 4096
"""Characters of a value."""
MOST_OF_TRACE = 65536
"""Characters of a traceback."""
_MARGIN = 2048
"""Characters beyond the longest text that are looked at, in which a secret may end."""
HIDDEN = "***"
_SECRETS = re.compile(
    r"(?P<token>narfi_[a-z0-9]{12}_)[A-Za-z0-9_-]{8,}"  # narfi/access/secret.py
    r"|(?P<jwt>eyJ)[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*"
    r"|(?P<scheme>\b(?:bearer|basic)[ \t]+)[A-Za-z0-9+/=_.~-]{16,}"
    r"|(?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)


def bounded(text: str, most: int = MOST) -> str:
    """Without secrets, and at most so long."""
    looked_at = text if len(text) <= most + _MARGIN else text[: most + _MARGIN]
    found = without_secrets(looked_at)
    if len(text) <= most and len(found) <= most:
        return found
    kept = found[: min(most, max(0, len(found) - (_MARGIN if looked_at is not text else 0)))]
    return f"{kept}… ({len(text)} characters)"


def without_secrets(text: str) -> str:
    """Each secret as its beginning and `***`."""
    return _SECRETS.sub(lambda found: f"{found[found.lastgroup or 0]}{HIDDEN}", text)


def printable(text: str) -> str:
    """What is not printable as JSON escapes it; `text` may be JSON and stays so."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
