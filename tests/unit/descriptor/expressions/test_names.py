"""The list of functions that the language has, and the page that describes them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from durable.descriptor.expressions.functions.table import DOMAINS
from tests.unit.reference.functions import reference

NAMES = {
    "array": "get length concat indexOf join lastIndexOf pop push reverse shift slice sort splice"
    " unshift",
    "bitwise": "and or xor leftShift rightShift unsignedRightShift",
    "conditional": "ternary equality strict_equality inequality strict_inequality greater_than"
    " less_than greater_than_or_equal less_than_or_equal nullish",
    "cron": "nextDelay",
    "date": "fromISOString now yyyymmdd parse getDate getDay getFullYear getHours getMilliseconds"
    " getMinutes getMonth getSeconds getTime getTimezoneOffset getUTCDate getUTCDay getUTCFullYear"
    " getUTCHours getUTCMilliseconds getUTCMinutes getUTCMonth getUTCSeconds setMilliseconds"
    " setMinutes setMonth setSeconds setTime setDate setFullYear setHours setUTCMilliseconds"
    " setUTCMinutes setUTCMonth setUTCSeconds setUTCDate setUTCFullYear setUTCHours toDateString"
    " toISOString toISOXString toJSON toLocaleDateString toLocaleString toLocaleTimeString toString"
    " UTC valueOf",
    "json": "stringify parse",
    "logical": "and or",
    "math": "add subtract multiply divide abs acos acosh asin asinh atan atan2 atanh cbrt ceil"
    " clz32 cos cosh exp expm1 floor fround hypot imul log log10 log1p log2 max min pow random"
    " round sign sin sinh sqrt tan tanh trunc",
    "number": "isFinite isEven isOdd isInteger isNaN parseFloat parseInt toFixed toExponential"
    " toPrecision gte lte gt lt max min pow round",
    "object": "get set create keys values entries fromEntries assign getOwnPropertyNames"
    " getOwnPropertySymbols getOwnPropertyDescriptor defineProperty defineProperties freeze"
    " isFrozen seal isSealed preventExtensions isExtensible hasOwnProperty isPrototypeOf"
    " propertyIsEnumerable",
    "string": "split charAt concat includes indexOf lastIndexOf slice toLowerCase toUpperCase trim"
    " trimStart trimEnd padStart padEnd replace search substring startsWith endsWith repeat",
    "symbol": "null undefined whitespace object array posInfinity negInfinity NaN date",
    "unary": "not positive negative bitwise_not",
}


def test_every_function_of_the_language_is_there():
    """The table has exactly the 13 domains of the language, each with exactly its functions."""
    listed = {domain: sorted(names.split()) for domain, names in NAMES.items()}
    assert {domain: sorted(table) for domain, table in DOMAINS.items()} == listed


def test_every_function_is_described():
    """The reference has a line for each function of the table and for no other."""
    described = {domain: sorted(entries) for domain, entries in reference().items()}
    assert described == {domain: sorted(table) for domain, table in DOMAINS.items()}


@pytest.mark.parametrize("raw", ["{@cron.nextDelay}", "{@string.trim}"])
def test_a_domain_without_its_library_is_refused_when_compiled(raw):
    """Without the extra, deploying a schedule says what to install; all else works as ever."""
    script = (
        "import sys; sys.modules['cronsim'] = None\n"
        "from durable.descriptor.expressions.pipe import compile_value\n"
        f"compile_value({{'@pipe': [['x'], ['{raw}']]}})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    if "cron" in raw:
        assert "@pipe[1][0]: {@cron.nextDelay}: cron expressions need a parser" in done.stderr
        assert "pip install 'durable-postgres[cron]'" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")
