"""What does a template give for an entry? Nodes evaluated over a string map of labels.

Errors carry Go's text with the place: `template: line:1:3: executing "line" at <div 1 0>: …`.
Invariant: `_node` is the node that an error names; it moves where Go's evaluation moves its own.
"""

from collections.abc import Callable, Mapping, Sequence

from narfi.core.labels import quote
from narfi.core.text.template import nodes as n
from narfi.core.text.template.arguments import constant_for, ideal, value_for
from narfi.core.text.template.bounds import bounded
from narfi.core.text.template.errors import CallError, TemplateExecError
from narfi.core.text.template.functions import FUNCTIONS
from narfi.core.text.template.methods import HIDDEN_FIELDS, METHODS
from narfi.core.text.template.parser import Template
from narfi.core.text.template.printing import go_text, shown
from narfi.core.text.template.signatures import Function, is_boxed_nil
from narfi.core.text.template.values import (
    INVALID,
    Boxed,
    Invalid,
    Struct,
    TextList,
    TextMap,
    Uint8,
    basic_kind,
    is_true,
    to_bytes,
    to_text,
    type_name,
    unboxed,
)
from narfi.core.text.template.zones import LOCAL_ZONE, Moment

MAX_OUTPUT = 4 << 20
MAX_DEPTH = 100
"""Templates within templates."""
MAX_STEPS = 1_000_000
"""Evaluated nodes of one entry, and each 64 characters that a function reads or gives."""
_STEP_CHARACTERS = 64
CHECKED_STEPS = 10_000
"""Between two calls of `check`: some milliseconds."""

_Place = n.Operand | n.Command | n.Include
_MISSING = object()
"""No value from a command before."""


def execute(
    template: Template,
    labels: Mapping[str, str],
    line: str,
    ts_ns: int,
    *,
    missing_is_empty: bool = True,
    functions: Mapping[str, Function] = FUNCTIONS,
    check: Callable[[], None] | None = None,
) -> str:
    """The rendered text; raises `TemplateExecError`. A missing label is "" or `<no value>`.

    `check` is called from time to time and may raise, for a template that takes long.
    """
    dot: object = TextMap(labels) if missing_is_empty else dict(labels)
    missing = Boxed(INVALID) if missing_is_empty else INVALID
    run = _Run(template=template, line=line, ts_ns=ts_ns, functions=functions, missing=missing)
    run.check = check
    return _text(run, dot)


def execute_on(
    template: Template,
    dot: object,
    functions: Mapping[str, Function],
    check: Callable[[], None] | None = None,
) -> str:
    """As `execute`, with any value as the dot, for templates that are not about an entry."""
    run = _Run(template=template, line="", ts_ns=0, functions=functions, missing=INVALID)
    run.check = check
    return _text(run, dot)


def _text(run: "_Run", dot: object) -> str:
    try:
        return run.output(dot)
    except RecursionError:
        raise run.failure("value is nested too deeply") from None


class _Jumped(Exception):
    """A break or continue on its way to its range."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Run:
    """One execution."""

    def __init__(
        self,
        *,
        template: Template,
        line: str,
        ts_ns: int,
        functions: Mapping[str, Function],
        missing: object,
    ) -> None:
        self._template, self._line, self._ts_ns = template, line, ts_ns
        self._functions, self._missing = functions, missing
        self._name = template.name
        self._node: _Place | None = None
        self._out: list[str] = []
        self._size = self._steps = self._depth = 0
        self._variables: list[tuple[str, object]] = []
        self._checked = 0
        self.check: Callable[[], None] | None = None

    def output(self, dot: object) -> str:
        """The text for what the dot is at first."""
        self._variables = [("$", dot)]
        self._walk(self._template.nodes, dot)
        return "".join(self._out)

    def failure(self, message: str) -> TemplateExecError:
        """An error at the node where evaluation is."""
        text, name, node = self._template.text, self._template.name, self._node
        at, context = (0, "") if node is None else (node.at, node.text())
        line = text.count("\n", 0, at) + 1
        column = len(to_bytes(text[text.rfind("\n", 0, at) + 1 : at]))
        return TemplateExecError(
            f"template: {name}:{line}:{column}: executing {quote(self._name)} at <{context}>: "
            f"{message}"
        )

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps - self._checked > CHECKED_STEPS and self.check is not None:
            self._checked = self._steps
            self.check()
        if self._steps > MAX_STEPS:
            raise self.failure("template takes too long")

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            raise self.failure(f"output of more than {MAX_OUTPUT} characters is not allowed")
        self._out.append(text)

    def _walk(self, nodes: Sequence[n.Node], dot: object) -> None:
        for node in nodes:
            match node:
                case n.Text():
                    self._write(node.value)
                case n.Action():
                    value = self._pipe(node.pipe, dot)
                    if not node.pipe.variables:
                        self._write(go_text(value))
                case n.Branch():
                    self._branch(node, dot)
                case n.Jump():
                    raise _Jumped(node.kind)
                case n.Include():
                    self._include(node, dot)

    def _include(self, node: n.Include, dot: object) -> None:
        self._node = node
        body = self._template.definitions.get(node.name)
        if body is None:
            raise self.failure(f"template {quote(node.name)} not defined")
        if self._depth == MAX_DEPTH:
            raise self.failure(f"exceeded maximum template depth ({MAX_DEPTH})")
        value = INVALID if node.pipe is None else self._pipe(node.pipe, dot)
        outer = self._variables, self._name
        self._variables, self._name = [("$", value)], node.name
        self._depth += 1
        self._walk(body, value)
        self._depth -= 1
        self._variables, self._name = outer

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

    def _items(self, node: n.Branch, value: object) -> Sequence[tuple[object, object]]:
        """Keys and elements to go through."""
        match value:
            case TextMap():
                return [(key, value[key]) for key in sorted(value, key=to_bytes)]
            case TextList():
                return list(enumerate(value))
            case bytes():
                return [(place, Uint8(byte)) for place, byte in enumerate(value)]
            case dict():
                return [(key, Boxed(value[key])) for key in sorted(value, key=to_bytes)]
            case list():
                return [(place, Boxed(item)) for place, item in enumerate(value)]
            case Invalid():
                return ()
        if basic_kind(value) not in ("int", "uint"):
            raise self.failure(f"range can't iterate over {shown(value)}")
        count = int(value)  # type: ignore[call-overload]
        if len(node.pipe.variables) > 1:
            raise self.failure(f"can't use {shown(value)} to iterate over more than one variable")
        if count > MAX_STEPS:
            raise self.failure("template takes too long")
        kind = type(value)
        return [(INVALID, kind(k)) for k in range(count)]  # type: ignore[call-arg]

    def _range(self, node: n.Branch, value: object, dot: object) -> None:
        items = self._items(node, value)
        if not items:
            self._walk(node.otherwise, dot)
            return
        names, known = node.pipe.variables, len(self._variables)
        for key, item in items:
            self._step()
            self._set_loop_variables(names, node.pipe.assigns, key, item)
            try:
                self._walk(node.body, item)
            except _Jumped as jump:
                if jump.kind == "break":
                    return
            finally:
                del self._variables[known:]

    def _set_loop_variables(
        self, names: tuple[str, ...], assigns: bool, key: object, item: object
    ) -> None:
        if not names:
            return
        given = (item,) if len(names) == 1 else (key, item)
        for place, (name, value) in enumerate(zip(names, given, strict=True)):
            if assigns:
                self._assign(name, value)
            else:
                self._variables[len(self._variables) - len(names) + place] = (name, value)

    def _pipe(self, pipe: n.Pipe, dot: object) -> object:
        self._node = pipe
        value: object = _MISSING
        for command in pipe.commands:
            value = unboxed(self._command(command, dot, value))
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _assign(self, name: str, value: object) -> None:
        for place in range(len(self._variables) - 1, -1, -1):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return
        raise self.failure(f"undefined variable: {name}")

    def _variable(self, name: str) -> object:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise self.failure(f"undefined variable: {name}")

    def _command(self, command: n.Command, dot: object, final: object) -> object:
        first, args = command.args[0], command.args[1:]
        self._step()
        match first:
            case n.Field() | n.Variable() | n.Chain() | n.Name():
                return self._callable(first, dot, command, args, final)
            case n.Pipe():
                self._no_arguments(first, args, final)
                return self._pipe(first, dot)
        self._node = first
        self._no_arguments(first, args, final)
        match first:
            case n.Dot():
                return dot
            case n.Nil():
                raise self.failure("nil is not a command")
            case n.NumberConstant():
                try:
                    return ideal(first)
                except CallError as error:
                    raise self.failure(str(error)) from None
        assert isinstance(first, n.Constant)
        return first.value

    def _no_arguments(self, first: n.Operand, args: Sequence[n.Operand], final: object) -> None:
        if args or final is not _MISSING:
            raise self.failure(f"can't give argument to non-function {first.text()}")

    def _callable(
        self,
        node: n.Field | n.Variable | n.Chain | n.Name,
        dot: object,
        command: n.Command | n.Operand,
        args: Sequence[n.Operand],
        final: object,
    ) -> object:
        """What may take arguments: a function, or fields of which the last may be a method."""
        self._node = node
        match node:
            case n.Name():
                found = self._functions[node.name]
                return self._call(found, node.name, command, dot, args, final)
            case n.Field():
                receiver, names = dot, node.names
            case n.Variable():
                receiver, names = self._variable(node.name), node.fields
                if not names:
                    self._no_arguments(node, args, final)
                    return receiver
            case n.Chain():
                if isinstance(node.node, n.Pipe):
                    receiver = self._pipe(node.node, dot)
                else:
                    assert isinstance(node.node, n.Name)
                    receiver = self._callable(node.node, dot, node.node, (), _MISSING)
                names = node.fields
        for name in names[:-1]:
            receiver = self._field(node, name, receiver, dot, (), _MISSING)
        return self._field(node, names[-1], receiver, dot, args, final)

    def _field(
        self,
        node: n.Field | n.Variable | n.Chain,
        name: str,
        receiver: object,
        dot: object,
        args: Sequence[n.Operand],
        final: object,
    ) -> object:
        if isinstance(receiver, Invalid):
            return INVALID
        held_as = type_name(receiver)
        if is_boxed_nil(receiver):
            raise self.failure(f"nil pointer evaluating {held_as}.{name}")
        value = unboxed(receiver)
        method = METHODS.get(type(value), {}).get(name)
        if method is not None:
            return self._call(method, name, node, dot, args, final, receiver=value)
        if isinstance(value, Struct) and name in value.fields:
            self._no_arguments(node, args, final)
            return value.fields[name]
        if isinstance(value, dict):
            if args or final is not _MISSING:
                raise self.failure(f"{name} is not a method but has arguments")
            if isinstance(value, TextMap):
                return value.get(name, "")
            return Boxed(value[name]) if name in value else self._missing
        if name in HIDDEN_FIELDS.get(type(value), ()):
            raise self.failure(f"{name} is an unexported field of struct type {held_as}")
        raise self.failure(f"can't evaluate field {name} in type {held_as}")

    def _call(
        self,
        found: Function,
        name: str,
        place: n.Operand | n.Command,
        dot: object,
        args: Sequence[n.Operand],
        final: object,
        *,
        receiver: object = _MISSING,
    ) -> object:
        has_final = final is not _MISSING
        self._check_count(found, name, len(args), has_final)
        if found.refusal:
            raise self.failure(found.refusal)
        if name in ("and", "or"):
            return self._short_circuit(found, name, dot, args, final)
        given = [] if receiver is _MISSING else [receiver]
        for position, arg in enumerate(args):
            given.append(self._argument(found, position, arg, dot))
        if has_final:
            given.append(self._value_for(found, len(args), final))
        try:
            return self._result(found, name, given, args)
        except CallError as error:
            self._node = place
            raise self.failure(f"error calling {name}: {error}") from None

    def _check_count(self, found: Function, name: str, args: int, has_final: bool) -> None:
        count, fixed = args + has_final, len(found.fixed)
        if found.rest is not None and count < fixed:
            message = f"wrong number of args for {name}: want at least {fixed} got {args}"
            raise self.failure(message)
        if found.rest is None and count != fixed:
            raise self.failure(f"wrong number of args for {name}: want {fixed} got {count}")

    def _result(
        self, found: Function, name: str, given: list[object], args: Sequence[n.Operand]
    ) -> object:
        """What a function gives, in bounds."""
        match name:
            case "__line__":
                return self._line
            case "__timestamp__":
                return Moment(self._ts_ns, LOCAL_ZONE)
            case "call":
                raise CallError(_call_complaint(given[0], args))
        value = found.run(*given)
        size = sum(len(item) for item in given if isinstance(item, str))
        if isinstance(value, str):
            size += bounded(len(value))
            if not value.isascii():
                value = to_text(to_bytes(value))  # bytes that now make a character are one
        self._step(size // _STEP_CHARACTERS)
        return value

    def _argument(self, found: Function, position: int, arg: n.Operand, dot: object) -> object:
        self._node = arg
        kind = type(arg)
        try:
            if kind is n.Constant or kind is n.NumberConstant or kind is n.Nil:
                return constant_for(found.parameter(position), arg)  # type: ignore[arg-type]
            if kind is n.Dot:
                value = dot
            elif kind is n.Pipe:
                value = self._pipe(arg, dot)  # type: ignore[arg-type]
            else:
                value = self._callable(arg, dot, arg, (), _MISSING)  # type: ignore[arg-type]
            return value_for(found.parameter(position), value)
        except CallError as error:
            raise self.failure(str(error)) from None

    def _value_for(self, found: Function, position: int, value: object) -> object:
        try:
            return value_for(found.parameter(position), value)
        except CallError as error:
            raise self.failure(str(error)) from None

    def _short_circuit(
        self, found: Function, name: str, dot: object, args: Sequence[n.Operand], final: object
    ) -> object:
        value: object = INVALID
        for position, arg in enumerate(args):
            value = self._argument(found, position, arg, dot)
            if is_true(value) == (name == "or"):
                return value
        return value if final is _MISSING else final


def _call_complaint(value: object, args: Sequence[n.Operand]) -> str:
    """No value of a template is a function, so none can be called."""
    value = unboxed(value)
    if isinstance(value, Invalid):
        return "call of nil"
    kind = type_name(value)
    name = args[0].text() if args else value if isinstance(value, str) else f"<{kind} Value>"
    return f"non-function {name} of type {kind}"
