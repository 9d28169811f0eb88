"""Where the command's words go: answers to stdout, notes and errors to stderr.

Nothing else in the package prints, so this is where text of others is made harmless to a terminal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from durable.errors import DescriptorError
from durable.protocol.failures import Failure
from durable.telemetry.terminal import CONTINUED, shown, shown_json, shown_lines

if TYPE_CHECKING:
    from durable.cli.tables import Part

FINDINGS_SHOWN = 20  # of what is wrong with a document, in text


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """How a command answers: as text for people, or as JSON for scripts.

    Attributes:
        as_json: JSON on stdout, one document per answer, and errors as JSON on stderr.
    """

    as_json: bool = False

    def answer(self, data: object, text: str | Iterable[Part]) -> None:
        """The answer: `data` as JSON, or `text`, which may have tables in it."""
        if self.as_json:
            _print(self.dumped(data), sys.stdout)
        elif isinstance(text, str):
            _print(shown_lines(text), sys.stdout)
        else:
            from durable.cli.tables import laid_out  # noqa: PLC0415 - loads rich

            _print(laid_out(text, sys.stdout), sys.stdout)

    def event(self, data: Mapping[str, object], text: str) -> None:
        """One of several answers over time: as JSON each is one line."""
        _print(json.dumps(plain(data)) if self.as_json else shown_lines(text), sys.stdout)

    def note(self, text: str) -> None:
        """Something that is no part of the answer, such as progress."""
        _print(shown_lines(text), sys.stderr)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Within: what to call with how far something is, which a terminal shows in one line.

        Elsewhere each is a note of its own; scripts, which want JSON, get none.
        """
        if self.as_json:
            yield lambda _text: None
        elif not sys.stderr.isatty():
            yield self.note
        else:
            from durable.cli.tables import status  # noqa: PLC0415 - loads rich

            with status(sys.stderr) as shown_status:
                yield shown_status

    def error(self, kind: str, message: str, hint: str) -> None:
        """What went wrong, and what to do next; of many findings in a document, people see some."""
        if self.as_json:
            described = {"error": {"type": kind, "message": message, "hint": hint}}
            _print(json.dumps(described), sys.stderr)
            return
        if kind == DescriptorError.__name__:
            findings = message.split("\n")
            if (more := len(findings) - FINDINGS_SHOWN) > 0:
                rest = f"… and {more:,} more; --json has them all"
                message = "\n".join((*findings[:FINDINGS_SHOWN], rest))
        _print("error: " + shown_lines(message).replace("\n", f"\n{CONTINUED}"), sys.stderr)
        if hint:
            _print(f"next:  {shown(hint)}", sys.stderr)

    def crash(self, traceback: str) -> None:
        """The traceback of a bug."""
        _print(shown_lines(traceback), sys.stderr)

    @staticmethod
    def relay(text: str) -> None:
        """What a process of ours has printed, as it is."""
        sys.stdout.write(_writable(text, sys.stdout))
        sys.stdout.flush()

    @staticmethod
    def flush() -> None:
        """Send what is buffered, as far as anybody still reads it: the process exits."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # a closed pipe must not stop the exit
                stream.flush()

    @staticmethod
    def dumped(data: object) -> str:
        """The data as indented JSON."""
        is_unicode = (sys.stdout.encoding or "utf").lower().startswith("utf")
        return shown_json(json.dumps(plain(data), indent=2, ensure_ascii=not is_unicode))


def _print(text: str, where: TextIO) -> None:
    print(_writable(text, where), file=where, flush=True)


def _writable(text: str, where: TextIO) -> str:
    """What the stream's encoding lacks, as escapes: a locale decides it, and may be ASCII."""
    encoding = where.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def plain(value: object) -> object:
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
