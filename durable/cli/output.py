"""Where the command's words go: answers to stdout, notes and errors to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from durable.protocol.failures import Failure


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """How a command answers: as text for people, or as JSON for scripts.

    Attributes:
        as_json: JSON on stdout, one document per answer, and errors as JSON on stderr.
    """

    as_json: bool = False

    def answer(self, data: object, text: str) -> None:
        """The answer: `data` as JSON, or `text`."""
        print(self.dumped(data) if self.as_json else text, flush=True)

    def event(self, data: Mapping[str, object], text: str) -> None:
        """One of several answers over time: as JSON each is one line."""
        print(json.dumps(plain(data)) if self.as_json else text, flush=True)

    def note(self, text: str) -> None:
        """Something that is no part of the answer, such as progress."""
        print(text, file=sys.stderr, flush=True)

    def error(self, kind: str, message: str, hint: str) -> None:
        """What went wrong, and what to do next."""
        if self.as_json:
            told = {"error": {"type": kind, "message": message, "hint": hint}}
            print(json.dumps(told), file=sys.stderr)
            return
        print(f"error: {message}", file=sys.stderr)
        if hint:
            print(f"next:  {hint}", file=sys.stderr)

    @staticmethod
    def dumped(data: object) -> str:
        """The data as indented JSON."""
        return json.dumps(plain(data), indent=2, ensure_ascii=False)


def plain(value: Any) -> Any:
    """Dataclasses, times and failures as what JSON can hold."""
    if isinstance(value, Failure):
        return value.to_dict()
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def wall_clock() -> datetime:
    """The time on the wall, to say "in 3 s" to people; nothing is decided by it."""
    return datetime.now(UTC)  # noqa: TID251 - a door has no other clock, and only shows it
