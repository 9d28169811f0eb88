r"""JavaScript's regular expressions, rewritten as Python's.

Where the two differ: `$` is the very end, `.` excludes four line ends, `\d` and `\w` are ASCII,
`\s` knows JavaScript's white space, named groups are written `(?<name>…)`, and `[^]` is anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from durable.expressions.numerals import SPACES

LONGEST_PATTERN = 1000  # characters; a pattern is configuration, not data


class RegexError(ValueError):
    """The pattern is not one, or uses what Python's `re` does not have."""


_SPACE_SET: Final = "".join(f"\\u{ord(c):04x}" for c in SPACES)
_NOT_NEWLINE: Final = "[^\\n\\r\\u2028\\u2029]"
_TOKEN: Final = re.compile(
    r"(?P<named>\(\?<(?=[A-Za-z_]))|(?P<back>\\k<(?P<name>\w+)>)|(?P<wide>\\u\{(?P<code>[0-9a-fA-F]{1,6})\})"
    r"|(?P<escape>\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.))|(?P<any>\[\^\])|(?P<none>\[\])|(?P<plain>.)",
    re.DOTALL,
)
# Escapes that mean nothing special in JavaScript, so that only these reach Python as they are.
_KEPT: Final = frozenset("dDwWbBnrtfv0123456789")


def compile_regex(pattern: str) -> re.Pattern[str]:
    r"""Python's form of a JavaScript pattern.

    Example:
        >>> bool(compile_regex(r"^\d{2}$").search("12")), bool(compile_regex("a$").search("a\n"))
        (True, False)
    """
    if len(pattern) > LONGEST_PATTERN:
        raise RegexError(f"it is longer than {LONGEST_PATTERN} characters")
    try:
        return re.compile("".join(_rewrite(pattern)), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise RegexError(str(error)) from error


def _rewrite(pattern: str) -> Iterator[str]:
    in_set = False
    for token in _TOKEN.finditer(pattern):
        kind = token.lastgroup if token.lastgroup not in {"name", "code"} else None
        text = token[0]
        if token["wide"]:
            yield re.escape(chr(int(token["code"], 16)))
        elif token["escape"]:
            yield _escape(text, in_set=in_set)
        elif in_set:
            in_set = text != "]"
            yield _in_set(text)
        elif kind == "plain" and text == "[":
            in_set = True
            yield text
        else:
            yield _outside(token, text)


def _in_set(text: str) -> str:
    # Python warns of these, as they may become set operations; to JavaScript they are characters.
    return "".join(f"\\{c}" if c in "[&|~" else c for c in text)


def _outside(token: re.Match[str], text: str) -> str:
    if token["named"]:
        return "(?P<"
    if token["back"]:
        return f"(?P={token['name']})"
    if token["any"]:
        return "[\\s\\S]"
    if token["none"]:
        return "(?!)"
    return {"$": "\\Z", ".": _NOT_NEWLINE}.get(text, text)


def _escape(text: str, *, in_set: bool) -> str:
    letter = text[1]
    if letter == "s":
        return _SPACE_SET if in_set else f"[{_SPACE_SET}]"
    if letter == "S" and not in_set:
        return f"[^{_SPACE_SET}]"
    if letter == "S":
        raise RegexError("\\S inside brackets is not supported; write [^\\s]")
    if len(text) > 2 or letter in _KEPT:  # noqa: PLR2004 - \uXXXX and \xXX mean the same in both
        return text
    return re.escape(letter)
