"""How plain data is laid out as YAML for people: short things on one line, the rest in blocks.

What fits within the width becomes `{a: 1, b: 2}`; only the frame of a descriptor (app, shared,
graphs, activities, transitions, hooks) always stands in blocks. Text is quoted whenever any YAML
reader, old or new, could take it for something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import yaml

from durable.descriptor.yaml_reader import scalar

WIDTH = 120  # columns

_Frame = Mapping[str, "_Frame"]
"""The keys below which there are blocks, and which of them are below each; "*" for each item."""

_NAMES: Final[_Frame] = {}  # below it, the names belong to the user
_FRAME: Final[_Frame] = {
    "app": {
        "shared": {"activities": _NAMES, "transitions": _NAMES},
        "graphs": {"*": {"activities": _NAMES, "transitions": _NAMES, "hooks": _NAMES}},
    }
}

_PLAIN: Final = re.compile(r"[\w./$][\w./$+@-]*(?: [\w./$+@()-]+)*")
_SHORT_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def to_yaml(data: Mapping[str, object]) -> str:
    """The data as YAML text that `yaml_reader.read` reads back to the same data.

    Example:
        >>> graph = {"subscribes": "t", "expire": 1}
        >>> print(to_yaml({"app": {"id": "x", "graphs": [graph]}}), end="")
        app:
          id: x
          graphs:
            - subscribes: t
              expire: 1
    """
    return "\n".join(_mapping(data, 0, _FRAME)) + "\n"


def _mapping(data: Mapping[str, object], indent: int, frame: _Frame) -> list[str]:
    """Lines of a block mapping; `frame` is what of it belongs to the frame."""
    lines: list[str] = []
    for key, value in data.items():
        head = " " * indent + text_scalar(key) + ":"
        lines.extend(_entry(head, value, indent, frame.get(key)))
    return lines


def _entry(head: str, value: object, indent: int, frame: _Frame | None) -> list[str]:
    """A key or dash with its value behind it, or in a block below it."""
    is_frame = frame is not None and isinstance(value, (Mapping, list, tuple)) and bool(value)
    flow = "" if is_frame else f"{head} {_flow(value)}"
    if flow and len(flow) <= WIDTH:
        return [flow]
    if not value:
        return [flow]
    if isinstance(value, Mapping):
        return [head, *_mapping(value, indent + 2, frame or {})]
    if isinstance(value, (list, tuple)):
        return [head, *_sequence(value, indent + 2, (frame or {}).get("*"))]
    # Only text can be broken into lines; a long name with a number behind it stays wide.
    return _folded(head, value, indent + 2) if isinstance(value, str) else [flow]


def _sequence(
    items: list[object] | tuple[object, ...], indent: int, frame: _Frame | None
) -> list[str]:
    lines: list[str] = []
    for item in items:
        dash = " " * indent + "-"
        flow = f"{dash} {_flow(item)}"
        if (frame is None or not item) and len(flow) <= WIDTH:
            lines.append(flow)
        elif isinstance(item, Mapping) and item:
            first, *rest = _mapping(item, indent + 2, frame or {})
            lines.extend([f"{dash} {first.lstrip()}", *rest])
        else:
            lines.extend(_entry(dash, item, indent, None))
    return lines


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{text_scalar(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        return text_scalar(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    # YAML 1.1 knows no number with an exponent but without a point.
    return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))


@lru_cache(maxsize=4_096)
def text_scalar(text: str) -> str:
    r"""Text as a YAML scalar: bare where it is safe, else in single or double quotes.

    Example:
        >>> print(text_scalar("300s"), text_scalar("{a.b}"), text_scalar("no"), text_scalar("a\nb"))
        300s '{a.b}' 'no' "a\nb"
    """
    if _is_safe_bare(text):
        return text
    if text.isprintable() and not text.startswith(" ") and not text.endswith(" "):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def _is_safe_bare(text: str) -> bool:
    if not _PLAIN.fullmatch(text) or not text.isprintable() or text in {".", ".."}:
        return False
    try:
        if not isinstance(scalar(text), str):
            return False
    except ValueError:
        return False
    # What PyYAML, a reader of YAML 1.1, would take for a date, an octal or a boolean.
    old = yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], [])
    return not any(pattern.match(text) for _, pattern in old)


def _folded(head: str, text: str, indent: int) -> list[str]:
    """Long text over several lines, in double quotes; a backslash at the end joins the lines."""
    room = WIDTH - indent - 2
    lines, line = [head], '"'
    for character in text:
        piece = _escaped(character)
        if len(line) + len(piece) > room:
            lines.append(" " * indent + line + "\\")
            # A blank at the start of a line is layout; escaped it is text.
            line, piece = "", "\\ " if piece == " " else piece
        line += piece
    return [*lines, " " * indent + line + '"']
