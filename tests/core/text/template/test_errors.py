"""Do errors name the place as Go does: line, byte, template, and the node that was evaluated?"""

import pytest

from narfi.core.text.template.errors import TemplateExecError
from narfi.core.text.template.parser import parse_template
from narfi.core.text.template.render import execute
from tests.core.text.template.outcomes import LABELS, LINE, TS_NS

PLACES = [
    (
        "{{ div 1 0 }}",
        (
            'template: line:1:3: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        "a{{ div 1 0 }}",
        (
            'template: line:1:4: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        "é{{ div 1 0 }}",
        (
            'template: line:1:5: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        "x\n{{ .x }}\n  {{ div 1 0 }}",
        (
            'template: line:3:5: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        '{{ .x | trunc "a" }}',
        'template: line:1:14: executing "line" at <"a">: expected integer; found "a"',
    ),
    (
        "{{ .a.b.c }}",
        (
            'template: line:1:5: executing "line" at <.a.b.c>: can\'t evaluate field b in type '
            "string"
        ),
    ),
    (
        "{{ .x.b }}",
        'template: line:1:5: executing "line" at <.x.b>: can\'t evaluate field b in type string',
    ),
    (
        "{{ $x := 1 }}{{ $x.a.b }}",
        'template: line:1:18: executing "line" at <$x.a.b>: can\'t evaluate field a in type int',
    ),
    (
        "{{ (fromJson .j).k.z }}",
        (
            'template: line:1:13: executing "line" at <.j>: can\'t evaluate field z in type '
            "interface {}"
        ),
    ),
    (
        '{{ define "t" }}{{ div 1 0 }}{{ end }}\n{{ template "t" }}',
        (
            'template: line:1:19: executing "t" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        '{{ template "x" .n }}',
        (
            'template: line:1:12: executing "line" at <{{template "x" .n}}>: template "x" not '
            "defined"
        ),
    ),
    (
        '{{ 5 | printf "%s" | upper 3 }}',
        (
            'template: line:1:21: executing "line" at <upper>: wrong number of args for upper: '
            "want 1 got 2"
        ),
    ),
    (
        "{{ upper (div 1 0) }}",
        (
            'template: line:1:10: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        '{{ printf "%s" (add 1 (div 1 0)) }}',
        (
            'template: line:1:23: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        '{{ if eq 1 "a" }}{{ end }}',
        (
            'template: line:1:6: executing "line" at <eq 1 "a">: error calling eq: '
            "incompatible types for comparison: int and string"
        ),
    ),
    (
        "{{ range .x }}{{ end }}",
        'template: line:1:9: executing "line" at <.x>: range can\'t iterate over abc',
    ),
    (
        '{{ __timestamp__.UTC.Add "1s" }}',
        'template: line:1:25: executing "line" at <"1s">: expected integer; found "1s"',
    ),
    (
        "{{ $x := div 1 0 }}",
        (
            'template: line:1:9: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
    (
        "{{ print `a\nb` (div 1 0) }}",
        (
            'template: line:2:4: executing "line" at <div 1 0>: error calling div: runtime '
            "error: integer divide by zero"
        ),
    ),
]


@pytest.mark.parametrize(("template", "message"), PLACES)
def test_places(template: str, message: str) -> None:
    with pytest.raises(TemplateExecError) as caught:
        execute(parse_template(template, "line"), LABELS, LINE, TS_NS)
    assert str(caught.value) == message


def test_the_template_is_called_as_its_stage_says() -> None:
    with pytest.raises(TemplateExecError) as caught:
        execute(parse_template("{{ div 1 0 }}", "label"), LABELS, LINE, TS_NS)
    assert str(caught.value).startswith('template: label:1:3: executing "label" at <div 1 0>: ')
