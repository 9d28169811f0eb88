"""The order of texts as a reader expects it, close to JavaScript's `localeCompare`.

Letters before case and accents: "a" < "A" < "ä" < "b". Punctuation comes before digits, digits
before letters. It is the root order of the Unicode collation for ASCII and Latin letters; other
scripts are ordered by code point. No locale is asked, so that every worker sorts alike.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_ASCII_ORDER: Final = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
_RANK: Final = {character: rank for rank, character in enumerate(_ASCII_ORDER, start=10)}


SortKey = tuple[list[tuple[int, int]], list[int], list[bool], str]


def collation_key(text: str) -> SortKey:
    """A sort key: letters first, then accents, then case, and the text itself at last.

    Example:
        >>> sorted(["b", "B", "a", "10", "-", "ä"], key=collation_key)
        ['-', '10', 'a', 'ä', 'b', 'B']
    """
    letters: list[tuple[int, int]] = []
    accents: list[int] = []
    cases: list[bool] = []
    for character in unicodedata.normalize("NFD", text):
        if unicodedata.combining(character):
            accents.append(ord(character))
            continue
        letters.append(_primary(character))
        accents.append(0)
        cases.append(character != character.lower())
    return letters, accents, cases, text


def _primary(character: str) -> tuple[int, int]:
    if character.isspace():
        return (0, ord(character))
    if character in _RANK:
        return (1, _RANK[character])
    folded = character.casefold()
    return (2, ord(folded[0]))
