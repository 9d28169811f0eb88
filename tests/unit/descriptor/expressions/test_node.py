"""The functions against JavaScript itself: Node answers the same generated calls.

Node is asked at test time only; where there is none, the tables of the other tests, whose answers
Node gave, are what remains. `cron` has no counterpart in JavaScript.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from durable.descriptor.expressions.dates import Moment
from durable.descriptor.expressions.functions.table import DOMAINS
from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import INF, NAN, call, same
from tests.unit.descriptor.expressions.generated import ARGUMENTS, date, field

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node here to compare with")
ORACLE = Path(__file__).parent / "oracle.js"
EACH = 120  # calls of each function

THROWS = object()
MARKS = {"undefined": UNDEFINED, "NaN": NAN, "Infinity": INF, "-Infinity": -INF, "-0": -0.0}
NO_COUNTERPART = {
    "cron": "JavaScript has no schedules",
    "array.sort": "sorts by its own order",
    "date.now": "time",
    "date.yyyymmdd": "time",
    "date.toISOXString": "the ancestor's own",
    "math.add": "flattens arrays",
    "math.subtract": "flattens arrays",
    "math.multiply": "flattens arrays",
    "math.divide": "flattens arrays",
    "math.random": "rng",
    "object.create": "not Object.create",
    "object.defineProperty": "allows what is left out",
    "object.freeze": "marks are not JSON",
    "object.defineProperties": "allows what is left out",
    "object.seal": "marks are not JSON",
    "object.preventExtensions": "marks are not JSON",
    "object.getOwnPropertySymbols": "no symbols",
    "object.isPrototypeOf": "no prototypes",
    "symbol.date": "time",
    "unary.positive": "is the absolute value",
}


def calls(seed: int, names: list[str]) -> Iterator[tuple[str, list[object]]]:
    rng = random.Random(seed)
    for name in names:
        domain, _, function = name.partition(".")
        is_setter = domain == "date" and function.startswith("set") and function != "setTime"
        makers = (
            [date, field, field, field] if is_setter else ARGUMENTS.get(name) or ARGUMENTS[domain]
        )
        for _ in range(EACH * 10 if name == "date.parse" else EACH):
            least = min(len(makers), 2 if is_setter else 1)
            count = rng.randint(least, len(makers)) if makers else 0
            yield name, [make(rng) for make in makers[:count]]


def encode(value: object) -> object:
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {name: encode(item) for name, item in value.items()}
    if value is UNDEFINED:
        return {"$": "undefined"}
    marks = (name for name, mark in MARKS.items() if isinstance(value, float) and same(value, mark))
    mark = next(marks, None)
    return value if mark is None else {"$": mark}


def decode(value: object) -> object:
    if isinstance(value, dict) and "$" in value:
        return MARKS.get(value["$"], THROWS)
    if isinstance(value, list):
        return [decode(item) for item in value]
    return (
        {name: decode(item) for name, item in value.items()} if isinstance(value, dict) else value
    )


def plain(value: object) -> object:
    """What does not matter left out: the order of properties, and how a whole number is held."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(value[name]) for name in sorted(value)}
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else str(value) if isinstance(value, Moment) else value


def ask(cases: list[tuple[str, list[object]]], zone: str) -> tuple[list[str], list[object]]:
    assert NODE is not None
    done = subprocess.run(
        [NODE, str(ORACLE)],
        input=json.dumps([[n, encode(a)] for n, a in cases]),
        text=True,
        capture_output=True,
        check=True,
        env={"TZ": zone},
    )
    said = json.loads(done.stdout)
    return said["names"], [decode(answer) for answer in said["answers"]]


def ours(name: str, args: list[object], zone: tzinfo) -> object:
    try:
        result = call(name, args, zone)
    except DescriptorError:
        return THROWS
    return result


def differs(answer: object, expected: object, name: str, args: list[object]) -> bool:
    if name == "string.split" and args[1:2] == [""]:
        # Deliberate: an emoji is one part, not two halves that no database can store.
        return answer != list(str(args[0]))[: len(answer) if isinstance(answer, list) else 0]
    if answer is THROWS:
        # Where JavaScript goes on with an invalid date, or with what is no text, it is refused.
        return expected is not THROWS and not (name.startswith("date.") and not _is_date(args))
    return expected is THROWS or not same(plain(answer), plain(expected))


def _is_date(args: list[object]) -> bool:
    return bool(args) and isinstance(args[0], (int, float, str))


def test_every_function_is_compared_or_has_no_counterpart():
    """The oracle knows each function, but for those listed with the reason."""
    known, _ = ask([], "UTC")
    table = {f"{domain}.{name}" for domain, functions in DOMAINS.items() for name in functions}
    alone = {n for n in table if n in NO_COUNTERPART or n.partition(".")[0] in NO_COUNTERPART}
    assert set(known) == table - alone


@pytest.mark.parametrize(
    ("zone", "only"), [("UTC", ""), ("America/New_York", "date."), ("Asia/Kolkata", "date.")]
)
def test_node_gives_the_same_answers(zone, only):
    """Thousands of generated calls have the answers that Node gives, also in other time zones."""
    known, _ = ask([], "UTC")
    names = [name for name in known if name.startswith(only)]
    if zone != "UTC":  # the long names of zones are Node's own
        names.remove("date.toString")
    cases = list(calls(20_260_101, names))
    _, expected = ask(cases, zone)
    tz = UTC if zone == "UTC" else ZoneInfo(zone)
    wrong = [
        f"{name}({', '.join(map(repr, args))}): Node {there!r}, here {here!r}"
        for (name, args), there in zip(cases, expected, strict=True)
        if differs(here := ours(name, args, tz), there, name, args)
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)} differ:\n" + "\n".join(wrong[:60])
