"""Arguments for the functions of pipes, generated: what descriptors hold, and what they might."""

from __future__ import annotations

import random
from collections.abc import Callable

from durable.descriptor.expressions.values import UNDEFINED
from tests.unit.descriptor.expressions.calling import INF, NAN

Generator = Callable[[random.Random], object]

NUMBERS = [
    0,
    -0.0,
    1,
    -1,
    2,
    3,
    7,
    10,
    0.1,
    0.5,
    1.5,
    -2.5,
    1.005,
    123.456,
    1e21,
    1e-7,
    2**31,
    2**32 + 5,
    -(2**31) - 1,
    2**53,
    1e300,
    5e-324,
    INF,
    -INF,
    NAN,
]
TEXTS = [
    "",
    "a",
    "abc",
    "Hello World",
    " x ",
    "\u00e4\u00df",
    "\U0001f642b",
    "a,b,,c",
    "0",
    "12",
    "-1.5",
    "0x1F",
    "1e3",
    "NaN",
    "Infinity",
    "true",
    "null",
    "\ufeff7\n",
    "x\u2028y",
]
KEYS = ["a", "b", "10", "2", "length", "k"]


def number(rng: random.Random) -> object:
    return rng.choice(NUMBERS) if rng.random() < 0.6 else rng.uniform(-50, 50)


def small(rng: random.Random) -> object:
    return rng.choice([UNDEFINED, -2, -1, 0, 1, 2, 3, 5, 1.5, NAN, INF, "1"])


def digits(rng: random.Random) -> object:
    return rng.choice([UNDEFINED, 0, 1, 2, 3, 10, 20, 100, 101, -1])


def text(rng: random.Random) -> object:
    if rng.random() < 0.5:
        return rng.choice(TEXTS)
    return "".join(rng.choices("abcAB ,12\U0001f642\u00e9\n", k=rng.randint(0, 6)))


def part(rng: random.Random) -> object:
    return rng.choice(["", "a", "b", ",", " ", "lo", "\U0001f642", 1, "$&", UNDEFINED, None])


def scalar(rng: random.Random) -> object:
    kinds: list[Generator] = [number, text, lambda d: d.choice([None, True, False, UNDEFINED])]
    return rng.choice(kinds)(rng)


def array(rng: random.Random) -> object:
    items = (anything(rng) if rng.random() < 0.2 else scalar(rng) for _ in range(rng.randint(0, 5)))
    return [None if item is UNDEFINED else item for item in items]


def mapping(rng: random.Random) -> object:
    pairs = ((rng.choice(KEYS), scalar(rng)) for _ in range(rng.randint(0, 4)))
    return {key: value for key, value in pairs if value is not UNDEFINED}


def anything(rng: random.Random) -> object:
    return rng.choice([scalar, scalar, array, mapping])(rng)


def pairs(rng: random.Random) -> object:
    return [[rng.choice(KEYS), scalar(rng)] for _ in range(rng.randint(0, 3))]


def key(rng: random.Random) -> object:
    return rng.choice([*KEYS, 0, 1])


def pattern(rng: random.Random) -> object:
    return rng.choice(["[0-9]+", "b$", "^a", ".", "\\s", "(?<x>l)l", "\\w\\b", "[^]", ""])


def json_text(rng: random.Random) -> object:
    texts = [
        "",
        "[1, 2.0, -0]",
        '{"a": 1, "a": 2}',
        "1e400",
        "NaN",
        "'x'",
        "[1,]",
        '"\\ud83d"',
        "01",
        '"\\u00e9\\n"',
        ' {"2": 1, "10": null} ',
        "123456789012345",
        "true",
        '"\t"',
        "[[]]",
    ]
    return rng.choice(texts)


def date(rng: random.Random) -> object:
    at = rng.randint(-6_000_000_000_000, 6_000_000_000_000)
    texts = [
        "2026-01-31",
        "2024-02-29T23:59:59.999Z",
        "2026-03-08T02:30",
        "2026-11-01T01:30:00",
        "Jan 2, 2026",
        "2 February 1999 3:04 PM",
        "Fri, 02 Jan 2026 03:04:05 GMT+0100",
        "1/2/2026",
        "0",
        "-86400000",
        "+012345-06-07T08:09:10Z",
        "1969-12-31T24:00:00",
        "0099-01-01T00:00:00Z",
    ]
    return rng.choice([at, at, 0, -1, 8.64e15, -8.64e15, 8.64e15 + 1, NAN, rng.choice(texts)])


def modern(rng: random.Random) -> object:
    return rng.randint(-2_000_000_000_000, 4_000_000_000_000)


def field(rng: random.Random) -> object:
    return rng.choice([-13, -1, 0, 1, 2, 11, 12, 29, 31, 59, 60, 99, 2024, 1.9, "3", NAN, None])


DAYS = [
    "2026-01-02",
    "2026/1/2",
    "1/2/26",
    "13/1/2026",
    "Jan 2 2026",
    "2 Jan 2026",
    "Fri Jan 02 2026",
    "x 1",
    "2026",
    "2-Jan-99",
    "January 2, 49",
    "2026-1-2",
    "Jan 32",
    "1.2.2026",
    "+002026-01-02",
    "-000009-03-04",
    "the 2nd of Jan",
    "20260102",
    "Sept 2",
    "(a (b) c) 2 Feb 2026",
    "12345-01-01",
    "Feb 30 2026",
    "2026-02-30",
    "0/1/2026",
    "1/2/3/4",
]
CLOCKS = [
    "",
    " 3:04",
    " 03:04:05.6",
    "T03:04:05.678",
    "T03:04",
    "T3:04",
    " 12:01 AM",
    " 12:01 PM",
    " 13:01 pm",
    " 24:00",
    " 24:01",
    " 25:00",
    " 12::",
    " 3:4:5",
    " 3:04:05.x",
    " 3:04:60",
    " 3:04:05:06",
    " 1:2:3.4567",
    " 3:04x",
]
ZONES = [
    "",
    "",
    "",
    "Z",
    " Z",
    " GMT",
    " UTC",
    "+01:00",
    " +0100",
    "-530",
    " GMT+1",
    "-05:30",
    " EST",
    " PDT-2",
    " (x)",
    ")",
    " GMT+12345",
    "+",
    " z1",
]


def written_date(rng: random.Random) -> object:
    return "".join(rng.choice(parts) for parts in (DAYS, CLOCKS, ZONES))


def options(rng: random.Random) -> object:
    return rng.choice(
        [
            UNDEFINED,
            {},
            {"dateStyle": "full"},
            {"timeStyle": "short"},
            {"dateStyle": "long", "timeStyle": "medium"},
            {"timeZone": "Asia/Tokyo"},
            {"hour12": False},
            {"year": "numeric", "month": "long", "day": "numeric"},
            {
                "weekday": "short",
                "month": "2-digit",
                "day": "2-digit",
                "hour": "numeric",
                "minute": "2-digit",
            },
            {"hour": "2-digit", "minute": "2-digit", "hourCycle": "h23"},
        ]
    )


# Function or domain -> how its arguments are made.
ARGUMENTS: dict[str, list[Generator]] = {
    "array": [array, scalar, small, small],
    "array.get": [array, lambda d: d.choice([UNDEFINED, 0, 1, 2, "1", 9])],
    "array.slice": [array, small, small],
    "array.splice": [array, small, small],
    "array.join": [array, part],
    "bitwise": [scalar, scalar],
    "conditional": [anything, anything, anything],
    "unary": [anything],
    "date": [date],
    "date.parse": [written_date],
    "date.UTC": [field] * 7,
    "date.setTime": [date, number],
    "date.toLocaleString": [modern, lambda _d: "en-US", options],
    "date.toLocaleDateString": [modern, lambda _d: UNDEFINED, options],
    "date.toLocaleTimeString": [modern, lambda _d: "en-US", options],
    "date.getTimezoneOffset": [modern],
    "date.toString": [modern],
    "date.toDateString": [modern],
    "json.parse": [json_text],
    "json.stringify": [
        anything,
        lambda d: d.choice([None, UNDEFINED, ["a", 10], ["k", "a", "a"]]),
        lambda d: d.choice([UNDEFINED, 0, 2, 20, "--", ""]),
    ],
    "logical": [anything] * 4,
    "math": [scalar, scalar],
    "math.hypot": [number] * 3,
    "math.max": [scalar] * 3,
    "math.min": [scalar] * 3,
    "number": [scalar, scalar],
    "number.toFixed": [number, digits],
    "number.toExponential": [number, digits],
    "number.toPrecision": [number, digits],
    "number.parseInt": [scalar, lambda d: d.choice([UNDEFINED, 2, 8, 10, 16, 36, 37])],
    "object": [mapping, key],
    "object.set": [mapping, key, scalar],
    "object.assign": [mapping, mapping, mapping],
    "object.fromEntries": [pairs],
    "object.getOwnPropertyDescriptor": [mapping, key],
    "string": [text, part, small],
    "string.charAt": [text, small],
    "string.slice": [text, small, small],
    "string.substring": [text, small, small],
    "string.repeat": [text, small],
    "string.padStart": [text, small, part],
    "string.padEnd": [text, small, part],
    "string.replace": [text, part, part],
    "string.search": [text, pattern],
    "string.concat": [scalar] * 3,
    "symbol": [],
}
