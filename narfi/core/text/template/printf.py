"""What does `printf` print? A layout's text and its verbs, as `fmt.Sprintf` reads them."""

from functools import lru_cache

from narfi.core.text.template.bounds import bounded
from narfi.core.text.template.printing import PLAIN, Spec, bad_verb, leaves, print_value, shown
from narfi.core.text.template.values import Invalid, basic_kind, type_name, unboxed

MAX_NUMBER = 1_000_000
"""Go reads no further digit of a width or precision behind such a number."""


def sprintf(layout: str, *args: object) -> str:
    """`fmt.Sprintf`."""
    return _Sprintf(layout, [unboxed(arg) for arg in args]).text()


class _Sprintf:
    """One layout read from left to right."""

    def __init__(self, layout: str, args: list[object]) -> None:
        self._layout, self._args = layout, args
        self._at = self._next = self._size = 0
        self._good_index = True
        self._after_index = self._reordered = False
        self._out: list[str] = []

    def text(self) -> str:
        """The whole text."""
        while True:
            mark = self._layout.find("%", self._at)
            if mark < 0:
                self._out.append(self._layout[self._at :])
                break
            self._out.append(self._layout[self._at : mark])
            self._at = mark + 1
            self._verb()
        if not self._reordered and self._next < len(self._args):
            extra = ", ".join(_with_type(arg) for arg in self._args[self._next :])
            self._out.append(f"%!(EXTRA {extra})")
        return "".join(self._out)

    def _char(self) -> str:
        return self._layout[self._at : self._at + 1]

    def _verb(self) -> None:
        verb = self._char()
        if verb and verb in "vsdqxt" and self._next < len(self._args):  # the usual case
            self._at += 1
            self._add(self._args[self._next], verb, PLAIN)
            self._next += 1
            return
        self._good_index, self._after_index = True, False
        flags = set()
        while (char := self._char()) and char in "#0+- ":
            flags.add(char)
            self._at += 1
        self._index()
        width = self._width(flags)
        precision = self._precision()
        if not self._after_index:
            self._index()
        verb = self._char()
        self._at += 1
        if not verb:
            self._out.append("%!(NOVERB)")
        elif verb == "%":
            self._out.append("%")
        elif not self._good_index:
            self._out.append(f"%!{verb}(BADINDEX)")
        elif self._next >= len(self._args):
            self._out.append(f"%!{verb}(MISSING)")
        else:
            spec = _spec("".join(sorted(flags)), verb in "vw", width, precision)
            self._add(self._args[self._next], verb, spec)
            self._next += 1

    def _add(self, value: object, verb: str, spec: Spec) -> None:
        if spec.width or spec.precision:
            bounded(leaves(value) * ((spec.width or 0) + (spec.precision or 0)))
        text = _printed(value, verb, spec)
        self._size = bounded(self._size + len(text))
        self._out.append(text)

    def _number(self) -> int | None:
        """Digits here; with a digit too many there is no number, nor anything behind it."""
        number, begin = 0, self._at
        while (char := self._char()) and char in "0123456789":
            if number > MAX_NUMBER:
                self._at = len(self._layout)
                return None
            number = number * 10 + int(char)
            self._at += 1
        return bounded(number) if self._at > begin else None

    def _index(self) -> None:
        """An argument's number, `[2]`, 1-based."""
        if self._char() != "[":
            return
        self._reordered = True
        end = self._layout.find("]", self._at + 1)
        if end < 0 or len(self._layout) - self._at < 3:
            self._good_index = False
            self._at += 1
            return
        digits = self._layout[self._at + 1 : end]
        self._at = end + 1
        is_number = digits.isascii() and digits.isdigit() and len(digits) < 8
        self._after_index = is_number
        if self._after_index and 1 <= int(digits) <= len(self._args):
            self._next = int(digits) - 1
        else:
            self._good_index = False

    def _star(self) -> int | None:
        """A width or precision that an argument says."""
        self._at += 1
        self._after_index = False
        if self._next >= len(self._args):
            return None
        value = self._args[self._next]
        self._next += 1
        if basic_kind(value) not in ("int", "uint"):
            return None
        number = int(value)  # type: ignore[call-overload]
        return bounded(number) if -MAX_NUMBER <= number <= MAX_NUMBER else None

    def _width(self, flags: set[str]) -> int | None:
        if self._char() != "*":
            width = self._number()
            if self._after_index and width is not None:
                self._good_index = False  # `%[3]2d`
            return width
        width = self._star()
        if width is None:
            self._out.append("%!(BADWIDTH)")
        elif width < 0:
            flags.add("-")
            return -width
        return width

    def _precision(self) -> int | None:
        if self._char() != ".":
            return None
        self._at += 1
        if self._after_index:
            self._good_index = False
        self._after_index = False
        self._index()
        if self._char() != "*":
            return self._number() or 0
        precision = self._star()
        if precision is None or precision < 0:
            self._out.append("%!(BADPREC)")
            return None
        return precision


@lru_cache(maxsize=256)
def _spec(flags: str, is_v: bool, width: int | None, precision: int | None) -> Spec:
    """`%v` has its own use for `+` and `#`."""
    return Spec(
        plus="+" in flags and not is_v,
        minus="-" in flags,
        sharp="#" in flags and not is_v,
        space=" " in flags,
        zero="0" in flags,
        sharp_v="#" in flags and is_v,
        width=width,
        precision=precision,
    )


def _printed(value: object, verb: str, spec: Spec) -> str:
    if verb == "T" and isinstance(value, Invalid):
        return spec.pad("<nil>")
    if verb == "T":
        return print_value(type_name(value), "s", spec)
    if verb in "wp" and not isinstance(value, Invalid):
        return bad_verb(value, verb, spec)
    return print_value(value, verb, spec)


def _with_type(value: object) -> str:
    if isinstance(value, Invalid):
        return "<nil>"
    return f"{type_name(value)}={shown(value)}"
