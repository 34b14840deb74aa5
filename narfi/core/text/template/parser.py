"""What does a template say? Tokens to nodes; unknown functions and variables are refused here."""

from dataclasses import dataclass
from functools import lru_cache

from narfi.core.text.template.errors import TemplateSyntaxError
from narfi.core.text.template.functions import FUNCTION_NAMES
from narfi.core.text.template.lexer import Lexer, Token
from narfi.core.text.template.nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Constant,
    Dot,
    Field,
    Include,
    Jump,
    Name,
    Node,
    Operand,
    Pipe,
    Text,
    Variable,
)

CACHED_TEMPLATES = 256
MAX_NESTING = 100


@dataclass(frozen=True)
class Template:
    """A parsed template and what it may read."""

    name: str
    text: str
    nodes: tuple[Node, ...]
    definitions: dict[str, tuple[Node, ...]]
    fields: frozenset[str]  # labels read by name
    reads_all: bool  # the dot itself is used
    reads_line: bool
    reads_time: bool


@lru_cache(maxsize=CACHED_TEMPLATES)
def parse_template(text: str, name: str, more: frozenset[str] = frozenset()) -> Template:
    """The template called `name` in errors; raises `TemplateSyntaxError` with Go's text.

    `more` are names of functions that the caller gives to `execute`.
    """
    return _Parser(text, name, FUNCTION_NAMES | more).template()


class _Parser:
    """Recursive descent over the tokens of one template."""

    def __init__(self, text: str, name: str, functions: frozenset[str]) -> None:
        self._text, self._name, self._functions = text, name, functions
        self._lexer = Lexer(text, name)
        self._tokens = self._lexer.run()
        self._next = 0
        self._variables = ["$"]
        self._definitions: dict[str, tuple[Node, ...]] = {}
        self._fields: set[str] = set()
        self._names: set[str] = set()
        self._reads_all = False
        self._loops = 0
        self._depth = 0
        self._dot_is_labels = True

    def template(self) -> Template:
        nodes, end = self._list(())
        if end != "eof":
            raise self._error(self._peek(), f"unexpected {{{{{end}}}}}")
        return Template(
            self._name,
            self._text,
            nodes,
            self._definitions,
            frozenset(self._fields),
            self._reads_all,
            "__line__" in self._names,
            bool({"__timestamp__", "now"} & self._names),
        )

    def _error(self, token: Token, message: str) -> TemplateSyntaxError:
        return self._lexer.error(token.at, message)

    def _peek(self, *, skip: bool = True) -> Token:
        if skip:
            while self._tokens[self._next].kind == "space":
                self._next += 1
        return self._tokens[self._next]

    def _take(self, *, skip: bool = True) -> Token:
        token = self._peek(skip=skip)
        if token.kind != "eof":
            self._next += 1
        return token

    def _list(self, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], str]:
        """Nodes up to one of the end words, and which it was."""
        nodes: list[Node] = []
        while True:
            token = self._take()
            if token.kind == "eof":
                if ends:
                    raise self._error(token, "unexpected EOF")
                return tuple(nodes), "eof"
            if token.kind == "text":
                nodes.append(Text(token.text))
                continue
            head = self._peek()
            if head.kind == "keyword" and head.text in ("end", "else"):
                self._take()
                if head.text not in ends:
                    raise self._error(head, f"unexpected {{{{{head.text}}}}}")
                return tuple(nodes), head.text
            node = self._action(head)
            if node is not None:
                nodes.append(node)

    def _action(self, head: Token) -> Node | None:
        if head.kind != "keyword":
            pipe = self._pipe("command", ("right",))
            return Action(pipe)
        self._take()
        match head.text:
            case "if" | "with" | "range":
                return self._branch(head.text)
            case "define":
                self._define()
                return None
            case "block":
                return self._block()
            case "template":
                return self._include()
            case _:
                if not self._loops:
                    raise self._error(head, f"{{{{{head.text}}}}} outside {{{{range}}}}")
                self._expect_right(head.text)
                return Jump(head.text)

    def _expect_right(self, context: str) -> None:
        token = self._take()
        if token.kind != "right":
            raise self._error(token, f"unexpected {_shown(token)} in {context}")

    def _branch(self, kind: str) -> Branch:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._error(self._peek(), "template is nested too deeply")
        known = len(self._variables)
        pipe = self._pipe(kind, ("right",))
        outer = self._dot_is_labels
        if kind != "if":
            self._dot_is_labels = False
        self._loops += kind == "range"
        body, end = self._list(("end", "else"))
        self._loops -= kind == "range"
        self._dot_is_labels = outer
        otherwise: tuple[Node, ...] = ()
        if end == "else":
            head = self._peek()
            if head.kind == "keyword" and head.text in ("if", "with") and kind in ("if", "with"):
                self._take()
                otherwise = (self._branch(head.text),)
                del self._variables[known:]
                self._depth -= 1
                return Branch(kind, pipe, body, otherwise)
            self._expect_right("else")
            otherwise, _ = self._list(("end",))
        self._expect_right("end")
        del self._variables[known:]
        self._depth -= 1
        return Branch(kind, pipe, body, otherwise)

    def _defined(self, name: str) -> None:
        outer, dot, loops = self._variables, self._dot_is_labels, self._loops
        self._variables, self._dot_is_labels, self._loops = ["$"], False, 0
        self._reads_all = True  # what it is given may be the dot
        nodes, _ = self._list(("end",))
        self._expect_right("end")
        self._variables, self._dot_is_labels, self._loops = outer, dot, loops
        self._definitions[name] = nodes

    def _string(self, context: str) -> str:
        token = self._take()
        if token.kind != "string":
            raise self._error(token, f"unexpected {_shown(token)} in {context}")
        return str(token.value)

    def _define(self) -> None:
        name = self._string("define clause")
        self._expect_right("define clause")
        self._defined(name)

    def _block(self) -> Include:
        at = self._peek().at
        name = self._string("block clause")
        pipe = self._pipe("block clause", ("right",))
        self._defined(name)
        return Include(at, name, pipe)

    def _include(self) -> Include:
        at = self._peek().at
        name = self._string("template clause")
        if self._peek().kind == "right":
            self._take()
            return Include(at, name, None)
        return Include(at, name, self._pipe("template clause", ("right",)))

    def _pipe(self, context: str, ends: tuple[str, ...]) -> Pipe:
        at = self._peek().at
        variables, assigns = self._declaration(context)
        commands: list[Command] = []
        while True:
            token = self._peek()
            if token.kind in ends:
                self._take()
                if not commands:
                    raise self._error(token, f"missing value for {context}")
                for command in commands[1:]:
                    first = command.args[0]
                    if isinstance(first, Constant | Dot):
                        number = commands.index(command) + 1
                        message = f"non executable command in pipeline stage {number}"
                        raise self._error(token, message)
                if not assigns:
                    self._variables.extend(variables)
                return Pipe(at, tuple(commands), tuple(variables), assigns)
            commands.append(self._command(ends))

    def _declaration(self, context: str) -> tuple[list[str], bool]:
        """`$x :=`, `$x =` or `$k, $v :=` at the head of a pipe."""
        begin = self._next
        variables: list[str] = []
        while self._peek().kind == "variable":
            variables.append(self._take().text)
            token = self._peek()
            if token.kind in (":=", "="):
                self._take()
                if token.kind == "=":
                    for name in variables:
                        self._known(token, name)
                return variables, token.kind == "="
            if token.kind == "," and context == "range" and len(variables) == 1:
                self._take()
                continue
            break
        self._next = begin
        return [], False

    def _known(self, token: Token, name: str) -> None:
        if name not in self._variables:
            raise self._error(token, f'undefined variable "{name}"')

    def _command(self, ends: tuple[str, ...]) -> Command:
        at = self._peek().at
        args: list[Operand] = []
        while True:
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._peek(skip=False)
            if token.kind == "space":
                self._take(skip=False)
                if self._peek().kind not in (*ends, "|", "right", ")"):
                    continue
                token = self._peek()
            if token.kind == "|":
                self._take()
                break
            if token.kind in (*ends, "right", ")"):
                break
            raise self._error(token, f"unexpected {_shown(token)} in operand")
        if not args:
            raise self._error(self._peek(), "empty command")
        return Command(at, tuple(args))

    def _operand(self) -> Operand | None:
        node = self._term()
        if node is None:
            return None
        fields: list[str] = []
        at = node.at
        while self._peek(skip=False).kind == "field":
            token = self._take(skip=False)
            fields.append(token.text[1:])
            at = token.at
        if not fields:
            return node
        if isinstance(node, Field):
            return Field(at, (*node.names, *fields))
        if isinstance(node, Variable):
            return Variable(at, node.name, tuple(fields))
        return Chain(at, node, tuple(fields))

    def _term(self) -> Operand | None:
        token = self._peek()
        match token.kind:
            case "name":
                self._take()
                if token.text not in self._functions:
                    raise self._error(token, f'function "{token.text}" not defined')
                self._names.add(token.text)
                return Name(token.at, token.text)
            case "dot":
                self._take()
                self._reads_all = self._reads_all or self._dot_is_labels
                return Dot(token.at)
            case "field":
                self._take()
                if self._dot_is_labels:
                    self._fields.add(token.text[1:])
                return Field(token.at, (token.text[1:],))
            case "variable":
                self._take()
                self._known(token, token.text)
                self._reads_all = self._reads_all or token.text == "$"
                return Variable(token.at, token.text, ())
            case "string" | "number" | "char" | "bool" | "nil":
                self._take()
                return Constant(token.at, token.value, token.text)
            case "(":
                self._take()
                return self._pipe("parenthesized pipeline", (")",))
        return None


def _shown(token: Token) -> str:
    if token.kind == "eof":
        return "EOF"
    return f'"{token.text}"' if token.kind != "right" else '"}}"'
