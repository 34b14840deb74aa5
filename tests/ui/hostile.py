"""Lines, labels and fields that were written to harm whoever looks at them in a browser."""

MARKUP = (
    "<script>window.__ran.push('script')</script>",
    "<img src=x onerror=\"window.__ran.push('img')\">",
    "<svg/onload=window.__ran.push('svg')>",
    "</pre></div><iframe srcdoc=\"<script>parent.__ran.push('frame')</script>\">",
    "javascript:window.__ran.push('address')",
    "{{constructor.constructor('window.__ran.push(1)')()}}",
    "<style>*{display:none}</style><base href=//evil.example><meta http-equiv=refresh content=0>",
    "'\"><details open ontoggle=window.__ran.push('toggle')>",
)
ANSI = (
    "\x1b[31mred\x1b[0m plain \x1b[1;32mbold green\x1b[m",
    "\x1b]8;;javascript:window.__ran.push('link')\x07link\x1b]8;;\x07",
    "\x1b]0;title\x07\x1b[2J\x1b[10;10Hmoved\x1b[K\x1b[5n",
    "\x1b[31m<img src=x onerror=window.__ran.push('ansi')>\x1b[0m",
    "\x1bPq#0;2;0;0;0\x1b\\ \x9b31m \x1b[999999999999;38;5;1m odd",
)
UNSEEN = (
    "user\u202egnp.exe",
    "zero\u200bwidth\u200d\ufeff and \u2066isolated\u2069",
    "null \x00 bell \x07 delete \x7f c1 \x85",
    "line\nfeed\r\nand\ttab \u2028 separator",
    "e" + "\u0301" * 500,
)
SHAPES = (
    "",
    " ",
    "x" * 300_000,
    "{" * 5_000,
    '{"a":' * 300 + "1" + "}" * 300,
    "{" + ", ".join(f'"f{n}": {n}' for n in range(3_000)) + "}",
    '{"__proto__": {"polluted": "yes"}, "constructor": 1, "toString": "t", "": "empty"}',
    '{"n": 1e999999, "big": 123456789012345678901234567890, "neg": -0, "html": "<b>x</b>"}',
    '{"a": "unclosed',
    'a=1 b="<b>x</b>" c=\'" __proto__=yes constructor=no',
    "http://evil.example/<script> https://user:pass@evil.example/",
)
LINES = (*MARKUP, *ANSI, *UNSEEN, *SHAPES)
LABELS = {"app": "hostile", "quote": "<img src=x onerror=window.__ran.push('label')>\"'`\\"}
METADATA = {"trace_id": "<script>window.__ran.push('meta')</script>", "note": "\u202eabc\x1b[31m"}
