"""What does a template say? Tokens to nodes; unknown functions and variables are refused here."""

from dataclasses import dataclass
from functools import lru_cache

from narfi.core.labels import quote
from narfi.core.text.template.constants import (
    ConstantError,
    parse_character,
    parse_number,
    parse_string,
)
from narfi.core.text.template.errors import TemplateSyntaxError
from narfi.core.text.template.functions import FUNCTION_NAMES
from narfi.core.text.template.lexer import Kind, Lexer, Token
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
    Nil,
    Node,
    NumberConstant,
    Operand,
    Pipe,
    Reads,
    Text,
    Variable,
)

CACHED_TEMPLATES = 256
MAX_NESTING = 100
"""Branches in branches, parentheses in parentheses; Go has no bound for the first, 10,000 for the
second."""
_OPERANDS = frozenset(
    (
        Kind.BOOL,
        Kind.CHARACTER,
        Kind.DOT,
        Kind.FIELD,
        Kind.NAME,
        Kind.NUMBER,
        Kind.NIL,
        Kind.STRING,
        Kind.VARIABLE,
        Kind.OPEN,
    )
)


@dataclass(frozen=True, kw_only=True)
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
def parse_template(
    text: str,
    name: str,
    more: frozenset[str] = frozenset(),
    functions: frozenset[str] = FUNCTION_NAMES,
) -> Template:
    """The template called `name` in errors; raises `TemplateSyntaxError` with Go's text.

    `more` are names of functions that the caller gives to `execute`; `functions` are the names
    beside them, LogQL's unless the templates are of another language.
    """
    source = _Source(text, name, functions | more)
    nodes = _Parser(source).root()
    reads = source.reads
    return Template(
        name=name,
        text=text,
        nodes=nodes,
        definitions=source.definitions,
        fields=frozenset(reads.fields),
        reads_all=reads.all_labels,
        reads_line="__line__" in reads.names,
        reads_time=bool({"__timestamp__", "now"} & reads.names),
    )


class _Source:
    """What the parsers of a template and of the templates defined in it share."""

    def __init__(self, text: str, name: str, functions: frozenset[str]) -> None:
        self.name, self.functions = name, functions
        self.lexer = Lexer(text)
        self.definitions: dict[str, tuple[Node, ...]] = {}
        self.reads = Reads()


class _Parser:
    """Recursive descent over the tokens of a template, or of one defined in it.

    Tokens are read ahead by up to three; errors name the line of the token read last.
    """

    def __init__(self, source: _Source, *, dot_is_labels: bool = True) -> None:
        self._source = source
        self._ahead: list[Token] = []
        self._last_line = 1
        self._action_line = 0
        self._variables = ["$"]
        self._loops = self._depth = self._parentheses = 0
        self._dot_is_labels = dot_is_labels

    def root(self) -> tuple[Node, ...]:
        """The nodes of the whole template."""
        nodes: list[Node] = []
        while self._peek().kind is not Kind.EOF:
            if self._peek().kind is Kind.LEFT:
                left = self._next()
                head = self._next_word()
                if head.kind is Kind.KEYWORD and head.text == "define":
                    _Parser(self._source, dot_is_labels=False).definition()
                    continue
                self._ahead = [left, head]
            node = self._text_or_action()
            if isinstance(node, str):
                raise self._error(f"unexpected {node}")
            nodes.append(node)
        self._define(self._source.name, tuple(nodes))
        return self._source.definitions[self._source.name]

    def definition(self) -> None:
        """What stands behind `define`."""
        context = "define clause"
        token = self._next_word()
        if token.kind is not Kind.STRING:
            raise self._unexpected(token, context)
        name = self._string(token)
        self._expect_right(context)
        self._body(name, context)

    def _body(self, name: str, context: str) -> None:
        self._source.reads.all_labels = True  # what it is given may be the dot
        nodes, end = self._list()
        if end != "{{end}}":
            raise self._error(f"unexpected {end} in {context}")
        self._define(name, nodes)

    def _define(self, name: str, nodes: tuple[Node, ...]) -> None:
        """An empty template gives way to another of its name."""
        known = self._source.definitions.get(name)
        if known is None or _is_empty(known):
            self._source.definitions[name] = nodes
        elif not _is_empty(nodes):
            raise self._error(f"template: multiple definition of template {quote(name)}")

    def _error(self, message: str) -> TemplateSyntaxError:
        text = f"template: {self._source.name}:{self._last_line}: {message}"
        return TemplateSyntaxError(text)

    def _unexpected(self, token: Token, context: str) -> TemplateSyntaxError:
        if token.kind is Kind.ERROR:
            extra = ""
            if self._action_line not in (0, token.line):
                extra = f" in action started at {self._source.name}:{self._action_line}"
                if token.text.endswith(" action"):
                    extra = extra.removeprefix(" in action")
            return self._error(token.text + extra)
        return self._error(f"unexpected {token.shown()} in {context}")

    def _next(self) -> Token:
        if self._ahead:
            return self._ahead.pop(0)
        token = self._source.lexer.next()
        self._last_line = token.line
        return token

    def _peek(self) -> Token:
        if not self._ahead:
            self._ahead = [self._next()]
        return self._ahead[0]

    def _next_word(self) -> Token:
        while True:
            token = self._next()
            if token.kind is not Kind.SPACE:
                return token

    def _peek_word(self) -> Token:
        token = self._next_word()
        self._ahead.insert(0, token)
        return token

    def _expect_right(self, context: str) -> None:
        token = self._next_word()
        if token.kind is not Kind.RIGHT:
            raise self._unexpected(token, context)

    def _string(self, token: Token) -> str:
        try:
            return parse_string(token.text)
        except ConstantError as error:
            raise self._error(str(error)) from None

    def _list(self) -> tuple[tuple[Node, ...], str]:
        """Nodes up to `{{end}}` or `{{else}}`, and which it was."""
        nodes: list[Node] = []
        while self._peek_word().kind is not Kind.EOF:
            node = self._text_or_action()
            if isinstance(node, str):
                return tuple(nodes), node
            nodes.append(node)
        raise self._error("unexpected EOF")

    def _text_or_action(self) -> Node | str:
        token = self._next_word()
        if token.kind is Kind.TEXT:
            return Text(token.text)
        if token.kind is not Kind.LEFT:
            raise self._unexpected(token, "input")
        self._action_line = token.line
        try:
            return self._action()
        finally:
            self._action_line = 0

    def _action(self) -> Node | str:
        head = self._next_word()
        if head.kind is Kind.KEYWORD:
            match head.text:
                case "if" | "with" | "range":
                    return self._branch(head.text)
                case "block" | "template":
                    return self._include(head.text)
                case "break" | "continue":
                    return self._jump(head.text)
                case "end":
                    self._expect_right("end")
                    return "{{end}}"
                case "else":
                    after = self._peek_word()
                    if not (after.kind is Kind.KEYWORD and after.text in ("if", "with")):
                        self._expect_right("else")
                    return "{{else}}"
        self._ahead.insert(0, head)
        return Action(self._pipe("command", Kind.RIGHT))

    def _jump(self, word: str) -> Jump:
        self._expect_right(f"{{{{{word}}}}}")
        if not self._loops:
            raise self._error(f"{{{{{word}}}}} outside {{{{range}}}}")
        return Jump(word)

    def _branch(self, kind: str) -> Branch:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._error("template is nested too deeply")
        known = len(self._variables)
        pipe = self._pipe(kind, Kind.RIGHT)
        outer = self._dot_is_labels
        if kind != "if":
            self._dot_is_labels = False
        self._loops += kind == "range"
        body, end = self._list()
        self._loops -= kind == "range"
        self._dot_is_labels = outer
        otherwise: tuple[Node, ...] = ()
        if end == "{{else}}":
            otherwise = self._otherwise(kind)
        del self._variables[known:]
        self._depth -= 1
        return Branch(kind, pipe, body, otherwise)

    def _otherwise(self, kind: str) -> tuple[Node, ...]:
        head = self._peek()
        if head.kind is Kind.KEYWORD and head.text == kind and kind in ("if", "with"):
            self._next()
            return (self._branch(kind),)
        nodes, end = self._list()
        if end != "{{end}}":
            raise self._error(f"expected end; found {end}")
        return nodes

    def _include(self, word: str) -> Include:
        context = f"{word} clause"
        token = self._next_word()
        if token.kind is not Kind.STRING:
            raise self._unexpected(token, context)
        name = self._string(token)
        if word == "template" and self._peek_word().kind is Kind.RIGHT:
            self._next()
            return Include(token.at, name, None)
        pipe = self._pipe(context, Kind.RIGHT)
        if word == "block":
            _Parser(self._source, dot_is_labels=False)._body(name, context)
        return Include(token.at, name, pipe)

    def _pipe(self, context: str, end: Kind) -> Pipe:
        at = self._peek_word().at
        variables, assigns = self._declaration(context)
        commands: list[Command] = []
        while True:
            token = self._next_word()
            if token.kind is end:
                break
            if token.kind not in _OPERANDS:
                raise self._unexpected(token, context)
            self._ahead.insert(0, token)
            commands.append(self._command())
        if not commands:
            raise self._error(f"missing value for {context}")
        for number, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], Constant | NumberConstant | Nil | Dot):
                raise self._error(f"non executable command in pipeline stage {number}")
        return Pipe(at, tuple(commands), tuple(variables), assigns)

    def _declaration(self, context: str) -> tuple[list[str], bool]:
        """`$x :=`, `$x =` or `$k, $v :=` at the head of a pipe."""
        names: list[str] = []
        while self._peek_word().kind is Kind.VARIABLE:
            variable = self._next()
            space = [self._next()] if self._peek().kind is Kind.SPACE else []
            after = self._peek_word()
            if after.kind in (Kind.ASSIGN, Kind.DECLARE):
                self._next()
                names.append(variable.text)
                self._variables.append(variable.text)
                return names, after.kind is Kind.ASSIGN
            if not (after.kind is Kind.OTHER and after.text == ","):
                self._ahead[:0] = [variable, *space]
                break
            self._next()
            names.append(variable.text)
            self._variables.append(variable.text)
            if context != "range" or len(names) > 1:
                raise self._error(f"too many declarations in {context}")
            if self._peek_word().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE):
                raise self._error("range can only initialize variables")
        return names, False

    def _command(self) -> Command:
        at = self._peek_word().at
        args: list[Operand] = []
        while True:
            self._peek_word()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                self._ahead.insert(0, token)
            elif token.kind is not Kind.PIPE:
                raise self._unexpected(token, "operand")
            break
        if not args:
            raise self._error("empty command")
        return Command(at, tuple(args))

    def _operand(self) -> Operand | None:
        node = self._term()
        if node is None or self._peek().kind is not Kind.FIELD:
            return node
        at = self._peek().at
        fields: list[str] = []
        while self._peek().kind is Kind.FIELD:
            fields.append(self._next().text[1:])
        match node:
            case Field():
                return Field(at, (*node.names, *fields))
            case Variable():
                return Variable(at, node.name, tuple(fields))
            case Constant() | NumberConstant() | Nil() | Dot():
                raise self._error(f"unexpected . after term {quote(node.text())}")
        return Chain(at, node, tuple(fields))

    def _term(self) -> Operand | None:
        token = self._next_word()
        match token.kind:
            case Kind.NAME:
                if token.text not in self._source.functions:
                    raise self._error(f"function {quote(token.text)} not defined")
                self._source.reads.names.add(token.text)
                return Name(token.at, token.text)
            case Kind.DOT:
                self._read_dot()
                return Dot(token.at)
            case Kind.NIL:
                return Nil(token.at)
            case Kind.FIELD:
                if self._dot_is_labels:
                    self._source.reads.fields.add(token.text[1:])
                return Field(token.at, (token.text[1:],))
            case Kind.VARIABLE:
                if token.text not in self._variables:
                    raise self._error(f"undefined variable {quote(token.text)}")
                if token.text == "$":
                    self._source.reads.all_labels = True
                return Variable(token.at, token.text, ())
            case Kind.BOOL:
                return Constant(token.at, token.text == "true", token.text)
            case Kind.STRING:
                return Constant(token.at, self._string(token), token.text)
            case Kind.NUMBER | Kind.CHARACTER:
                return self._number(token)
            case Kind.OPEN:
                return self._parenthesis()
        self._ahead.insert(0, token)
        return None

    def _read_dot(self) -> None:
        if self._dot_is_labels:
            self._source.reads.all_labels = True

    def _number(self, token: Token) -> NumberConstant:
        parse = parse_number if token.kind is Kind.NUMBER else parse_character
        try:
            return NumberConstant(token.at, parse(token.text), token.text)
        except ConstantError as error:
            raise self._error(str(error)) from None

    def _parenthesis(self) -> Pipe:
        if self._parentheses >= MAX_NESTING:
            raise self._error("max expression depth exceeded")
        self._parentheses += 1
        pipe = self._pipe("parenthesized pipeline", Kind.CLOSE)
        self._parentheses -= 1
        return pipe


def _is_empty(nodes: tuple[Node, ...]) -> bool:
    """Whether there is nothing but blank text."""
    return all(isinstance(node, Text) and not node.value.strip() for node in nodes)
