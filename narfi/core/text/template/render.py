"""What does a template give for an entry? Nodes evaluated over a string map of labels.

Errors carry Go's text with the place: `template: line:1:3: executing "line" at <div 1 0>: …`.
"""

import time
from collections.abc import Mapping, Sequence

from narfi.core.text.template import nodes as n
from narfi.core.text.template.errors import CallError, TemplateExecError
from narfi.core.text.template.functions import FUNCTIONS, TEXT_ARGUMENTS, Function
from narfi.core.text.template.parser import Template
from narfi.core.text.template.printf import sprintf
from narfi.core.text.template.times import format_time
from narfi.core.text.template.values import NIL, Moment, Nothing, go_text, is_true, type_name

MAX_OUTPUT = 4 << 20
MAX_STEPS = 1_000_000
"""Evaluated nodes of one entry: nested ranges over a large JSON value end here."""


def execute(
    template: Template,
    labels: Mapping[str, str],
    line: str,
    ts_ns: int,
    *,
    missing_is_empty: bool = True,
    functions: Mapping[str, Function] = FUNCTIONS,
) -> str:
    """The rendered text; raises `TemplateExecError`. A missing label is "" or `<no value>`."""
    missing = "" if missing_is_empty else NIL
    return _Run(template, line, ts_ns, missing, functions).output(labels)


class _Jumped(Exception):
    """A break or continue on its way to its range."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Run:
    """One execution."""

    def __init__(
        self,
        template: Template,
        line: str,
        ts_ns: int,
        missing: object,
        functions: Mapping[str, Function],
    ) -> None:
        self._missing, self._functions = missing, functions
        self._template, self._line, self._ts_ns = template, line, ts_ns
        self._out: list[str] = []
        self._size = self._steps = 0
        self._variables: list[tuple[str, object]] = []
        self._depth = 0
        self._labels: Mapping[str, str] = {}

    def output(self, labels: Mapping[str, str]) -> str:
        self._labels = labels
        self._variables = [("$", labels)]
        self._walk(self._template.nodes, labels)
        return "".join(self._out)

    def _fail(self, at: int, context: str, message: str) -> TemplateExecError:
        text = self._template.text
        line = text.count("\n", 0, at) + 1
        start = text.rfind("\n", 0, at) + 1
        column = len(text[start:at].encode("utf-8", "surrogateescape"))
        name = self._template.name
        return TemplateExecError(
            f'template: {name}:{line}:{column}: executing "{name}" at <{context}>: {message}'
        )

    def _step(self, at: int, context: str) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self._fail(at, context, "template takes too long")

    def _write(self, text: str, at: int) -> None:
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            raise self._fail(at, "output", f"output of more than {MAX_OUTPUT} characters")
        self._out.append(text)

    def _walk(self, nodes: Sequence[n.Node], dot: object) -> None:
        for node in nodes:
            match node:
                case n.Text():
                    self._write(node.value, 0)
                case n.Action():
                    value = self._pipe(node.pipe, dot)
                    if not node.pipe.variables:
                        self._write(go_text(value), node.pipe.at)
                case n.Branch():
                    self._branch(node, dot)
                case n.Jump():
                    raise _Jumped(node.kind)
                case n.Include():
                    self._include(node, dot)

    def _include(self, node: n.Include, dot: object) -> None:
        body = self._template.definitions.get(node.name)
        if body is None:
            raise self._fail(
                node.at, f'{{{{template "{node.name}"}}}}', f'template "{node.name}" not defined'
            )
        self._depth += 1
        if self._depth > 100:
            raise self._fail(node.at, node.name, "exceeded maximum template depth (100)")
        value = NIL if node.pipe is None else self._pipe(node.pipe, dot)
        outer, self._variables = self._variables, [("$", value)]
        self._walk(body, value)
        self._variables = outer
        self._depth -= 1

    def _branch(self, node: n.Branch, dot: object) -> None:
        known = len(self._variables)
        value = self._pipe(node.pipe, dot)
        if node.kind == "range":
            self._range(node, value, dot)
        elif is_true(value):
            self._walk(node.body, value if node.kind == "with" else dot)
        else:
            self._walk(node.otherwise, dot)
        del self._variables[known:]

    def _range(self, node: n.Branch, value: object, dot: object) -> None:
        items: list[tuple[object, object]]
        if isinstance(value, list):
            items = list(enumerate(value))
        elif isinstance(value, Mapping):
            items = [(key, value[key]) for key in sorted(value)]
        elif isinstance(value, int) and not isinstance(value, bool):
            items = [(k, k) for k in range(min(value, MAX_STEPS))]
        elif value is NIL:
            items = []
        else:
            at, context = self._place(node.pipe)
            raise self._fail(at, context, f"range can't iterate over {go_text(value)}")
        if not items:
            self._walk(node.otherwise, dot)
            return
        names = node.pipe.variables
        for key, item in items:
            self._step(node.pipe.at, node.pipe.text())
            known = len(self._variables)
            if len(names) == 1:
                self._variables.append((names[0], item))
            elif len(names) == 2:
                self._variables += [(names[0], key), (names[1], item)]
            try:
                self._walk(node.body, item)
            except _Jumped as jump:
                if jump.kind == "break":
                    return
            finally:
                del self._variables[known:]

    def _place(self, pipe: n.Pipe) -> tuple[int, str]:
        """The node that an error of a pipe's value names: its last argument."""
        last = pipe.commands[-1].args[-1]
        return last.at, last.text()

    def _pipe(self, pipe: n.Pipe, dot: object) -> object:
        value: object = None
        final: tuple[object, ...] = ()
        for command in pipe.commands:
            value = self._command(command, dot, final)
            final = (value,)
        if len(pipe.variables) == 1 or (pipe.variables and pipe.assigns):
            if pipe.assigns:
                self._assign(pipe.variables[0], value)
            else:
                self._variables.append((pipe.variables[0], value))
        return value

    def _assign(self, name: str, value: object) -> None:
        for place in range(len(self._variables) - 1, -1, -1):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return

    def _command(self, command: n.Command, dot: object, final: tuple[object, ...]) -> object:
        first = command.args[0]
        self._step(command.at, "pipeline")
        if isinstance(first, n.Name):
            return self._call(command, first, dot, final)
        if isinstance(first, n.Chain):
            return self._chain(first, dot, command.args[1:], final)
        if len(command.args) > 1 or final:
            raise self._fail(
                first.at, first.text(), f"can't give argument to non-function {first.text()}"
            )
        return self._operand(first, dot)

    def _operand(self, node: n.Operand, dot: object) -> object:
        match node:
            case n.Constant():
                return NIL if node.source == "nil" else node.value
            case n.Dot():
                return dot
            case n.Field():
                return self._fields(node, dot, node.names, dot)
            case n.Variable():
                value = self._lookup(node.name)
                return self._fields(node, value, node.fields, dot) if node.fields else value
            case n.Name():
                return self._call(n.Command(node.at, (node,)), node, dot, ())
            case n.Chain():
                return self._chain(node, dot, (), ())
            case n.Pipe():
                return self._pipe(node, dot)

    def _lookup(self, name: str) -> object:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        return NIL

    def _fields(self, node: n.Operand, value: object, names: Sequence[str], _dot: object) -> object:
        for name in names:
            value = self._field(node, value, name, ())
        return value

    def _field(self, node: n.Operand, value: object, name: str, args: tuple[object, ...]) -> object:
        if isinstance(value, Mapping):
            return value.get(name, self._missing if value is self._labels else NIL)
        if isinstance(value, Moment):
            return self._method(node, value, name, args)
        if value is NIL:
            return NIL
        message = f"can't evaluate field {name} in type {type_name(value)}"
        raise self._fail(node.at, node.text(), message)

    def _method(
        self, node: n.Operand, value: Moment, name: str, args: tuple[object, ...]
    ) -> object:
        text = {"Weekday": "Monday", "Month": "January"}
        if name in text:
            return format_time(text[name], value)
        numbers = {
            "Year": "2006",
            "Day": "2",
            "Hour": "15",
            "Minute": "4",
            "Second": "5",
            "YearDay": "002",
        }
        if name in numbers:
            return int(format_time(numbers[name], value))
        match name:
            case "UTC":
                return Moment(value.ns)
            case "Unix":
                return value.ns // 10**9
            case "UnixMilli":
                return value.ns // 10**6
            case "UnixMicro":
                return value.ns // 10**3
            case "UnixNano":
                return value.ns
            case "Nanosecond":
                return value.ns % 10**9
            case "Format" if len(args) == 1:
                return format_time(go_text(args[0]), value)
            case "String":
                return go_text(value)
        message = f"can't evaluate field {name} in type time.Time"
        raise self._fail(node.at, node.text(), message)

    def _chain(
        self,
        node: n.Chain,
        dot: object,
        args: Sequence[n.Operand],
        final: tuple[object, ...],
    ) -> object:
        value = self._operand(node.node, dot)
        given = tuple(self._operand(arg, dot) for arg in args) + final
        for place, name in enumerate(node.fields):
            last = place == len(node.fields) - 1
            if isinstance(node.node, n.Pipe) and not isinstance(value, Moment | Mapping | Nothing):
                inner = node.node.commands[-1].args[-1]
                message = f"can't evaluate field {name} in type {type_name(value)}"
                raise self._fail(inner.at, inner.text(), message)
            value = self._field(node, value, name, given if last else ())
        return value

    def _call(
        self, command: n.Command, name: n.Name, dot: object, final: tuple[object, ...]
    ) -> object:
        match name.name:
            case "__line__":
                return self._line
            case "__timestamp__":
                return Moment(self._ts_ns)
            case "now":
                return Moment(time.time_ns())
            case "and" | "or":
                return self._short_circuit(command, name, dot, final)
        args = [self._operand(arg, dot) for arg in command.args[1:]]
        args.extend(final)
        context = command.text()
        try:
            if name.name == "printf":
                if not args or not isinstance(args[0], str):
                    raise CallError("wrong type for value; expected string")
                return sprintf(args[0], *args[1:])
            if name.name in TEXT_ARGUMENTS:
                args = [self._as_text(name, arg) for arg in args]
            return self._functions[name.name](*args)
        except CallError as error:
            message = f"error calling {name.name}: {error}"
            if name.name == "call":
                message = (
                    f"error calling call: non-function {command.args[1].text()} of type string"
                )
            raise self._fail(name.at, context, message) from None
        except (TypeError, AttributeError, ValueError, IndexError, OverflowError):
            message = f"wrong number or type of args for {name.name}"
            raise self._fail(name.at, context, message) from None

    def _as_text(self, name: n.Name, value: object) -> object:
        if isinstance(value, str):
            return value
        if value is NIL:
            return ""
        message = f"wrong type for value; expected string; got {type_name(value)}"
        raise self._fail(name.at, name.text(), message)

    def _short_circuit(
        self, command: n.Command, name: n.Name, dot: object, final: tuple[object, ...]
    ) -> object:
        value: object = NIL
        for arg in command.args[1:]:
            value = self._operand(arg, dot)
            if is_true(value) == (name.name == "or"):
                return value
        return final[0] if final else value
