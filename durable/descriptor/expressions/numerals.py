"""Numbers as JavaScript writes them, and text as JavaScript reads numbers."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

SPACES: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript calls white space or a line end."""

_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITY: Final = re.compile(r"[+-]?Infinity")
_RADIX: Final = {"0x": 16, "0o": 8, "0b": 2}
_RADIX_DIGITS: Final = {
    16: re.compile(r"[0-9a-fA-F]+"),
    8: re.compile(r"[0-7]+"),
    2: re.compile(r"[01]+"),
}
_LONGEST_PLAIN = 21  # from 1e21 on JavaScript writes an exponent
_SMALLEST_PLAIN = -6  # below 1e-6 too


def number_text(value: float) -> str:
    """The text of a number; integers that JavaScript could not hold keep all their digits.

    Example:
        >>> number_text(1.0), number_text(1e-7), number_text(1e21), number_text(-0.0)
        ('1', '1e-7', '1e+21', '0')
    """
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign, digits, point = shortest_digits(value)
    return sign + _place(digits, point)


def shortest_digits(value: float) -> tuple[str, str, int]:
    """Sign, the fewest digits that name this double, and where the point stands (0.digits e n)."""
    negative, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    point = len(text) + int(exponent)
    return ("-" if negative else "", text.rstrip("0") or "0", point)


def _place(digits: str, point: int) -> str:
    if len(digits) <= point <= _LONGEST_PLAIN:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _LONGEST_PLAIN:
        return f"{digits[:point]}.{digits[point:]}"
    if _SMALLEST_PLAIN < point <= 0:
        return "0." + "0" * -point + digits
    return exponent_text(digits, point - 1)


def exponent_text(digits: str, exponent: int) -> str:
    """Digits with the point after the first one, and a signed exponent."""
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def parse_number(text: str) -> float:
    """JavaScript's `Number(text)`: the whole text, blanks around it allowed; "" is 0, else NaN."""
    text = text.strip(SPACES)
    if not text:
        return 0.0
    radix = _RADIX.get(text[:2].lower())
    if radix is not None:
        return float(int(text[2:], radix)) if _RADIX_DIGITS[radix].fullmatch(text[2:]) else math.nan
    if _DECIMAL.fullmatch(text) or _INFINITY.fullmatch(text):
        return float(text)
    return math.nan


def parse_float(text: str) -> float:
    """JavaScript's `parseFloat`: the longest number at the start of the text, else NaN."""
    text = text.lstrip(SPACES)
    found = _INFINITY.match(text) or _DECIMAL.match(text)
    return float(found[0]) if found else math.nan


def parse_int(text: str, radix: int) -> float:
    """JavaScript's `parseInt`: the digits at the start; radix 0 means 10, or 16 after "0x"."""
    text = text.lstrip(SPACES)
    sign = -1.0 if text.startswith("-") else 1.0
    text = text[1:] if text[:1] in {"+", "-"} else text
    if radix in {0, 16} and text[:2].lower() == "0x":
        text, radix = text[2:], 16
    radix = radix or 10
    if not 2 <= radix <= 36:  # noqa: PLR2004 - the digits there are
        return math.nan
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"[:radix]
    digits = text[: next((i for i, c in enumerate(text) if not _is_digit(c, alphabet)), len(text))]
    if not digits:
        return math.nan
    try:
        return sign * float(int(digits, radix))
    except (OverflowError, ValueError):
        return sign * math.inf


def _is_digit(character: str, alphabet: str) -> bool:
    return character.isascii() and character.lower() in alphabet
