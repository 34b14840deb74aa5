"""What does a template give over known labels? Its text, or `!` and what is said of it.

The expected values of the tables in this folder were decided by Go's text/template, fmt and time,
by Sprig and its casts: not by this project's program.
"""

from narfi.core.text.template.errors import TemplateExecError, TemplateSyntaxError
from narfi.core.text.template.parser import parse_template
from narfi.core.text.template.render import execute

LABELS = {
    "x": "abc",
    "n": "5",
    "f": "3.7",
    "e": "",
    "u": "\u00e5sa \u00d6berg",
    "a": "[1,2,3]",
    "j": '{"a":{"b":[1,2.5,"x",null,true]},"k":"v","n":null}',
    "bad": "a\udcffb",  # a byte that is no UTF-8
}
LINE = "the line"
TS_NS = 1759997178_000000777  # 2025-10-09 08:06:18


def outcome(template: str) -> str:
    """The text; of an error, what stands behind the place, or all when the template is refused."""
    try:
        return execute(parse_template(template, "line"), LABELS, LINE, TS_NS)
    except TemplateSyntaxError as error:
        return f"!{error.message}"
    except TemplateExecError as error:
        return "!<" + str(error).split(" at <", 1)[1]
