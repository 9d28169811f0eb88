# ruff: noqa: E501 - a line per function
"""What each function is given and answers, for people: the source of the mapping reference.

A line per function: its arguments (? marks those that may be left out), what it answers, and the
arguments of an example as JSON, whose result the reference shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """What the reference says of one function.

    Attributes:
        arguments: their names, as in "text, start?".
        answer: a sentence without its full stop.
        example: the arguments of an example.
    """

    arguments: str
    answer: str
    example: tuple[object, ...]


_LINE: Final = re.compile(
    r"(?P<name>\w+)\((?P<arguments>[^)]*)\) (?P<answer>.+?) \| (?P<example>\[.*\])"
)

_TEXTS: Final[Mapping[str, str]] = {
    "array": """
        get(array, index?, property?) the item at the index, 0 without one; of that, the property | [[{"n": 5}, {"n": 6}], 1, "n"]
        length(array) how many items there are | [[1, 2, 3]]
        concat(array, values?…) the array with the values appended, arrays among them item by item | [[1], [2, 3], 4]
        indexOf(array, value, start?) the first place of the value, -1 if it is not there | [["a", "b"], "b"]
        join(array, separator?) the items as one text, with commas unless told otherwise | [["a", "b"], "-"]
        lastIndexOf(array, value, start?) the last place of the value, -1 if it is not there | [["a", "b", "a"], "a"]
        pop(array) the last item | [[1, 2, 3]]
        push(array, values…) the array with the values at its end | [[1], 2, 3]
        reverse(array) the items in reverse order | [[1, 2, 3]]
        shift(array) the first item | [[1, 2, 3]]
        slice(array, start?, end?) the part from start up to end; negative places count from the end | [[1, 2, 3, 4], 1, -1]
        sort(array, order?) the items sorted, ASCENDING or DESCENDING: numbers by size, texts as people sort | [[3, 1, 2], "DESCENDING"]
        splice(array, start, count?) the part that JavaScript's splice would remove | [[1, 2, 3, 4], 1, 2]
        unshift(array, values…) the length that the array would have with the values before it | [[1], 2, 3]
    """,
    "bitwise": """
        and(a, b) the bits that both have | [6, 3]
        or(a, b) the bits that either has | [6, 3]
        xor(a, b) the bits that one of them has | [6, 3]
        leftShift(a, count) the bits moved to the left | [1, 4]
        rightShift(a, count) the bits moved to the right, the sign kept | [-8, 1]
        unsignedRightShift(a, count) the bits moved to the right, zeros following | [-8, 28]
    """,
    "conditional": """
        ternary(condition, then, else?) `then` if the condition is truthy, else `else` | [true, "yes", "no"]
        equality(a, b) whether a == b, types converted as in JavaScript | [1, "1"]
        strict_equality(a, b) whether a === b | [1, "1"]
        inequality(a, b) whether a != b | [1, "1"]
        strict_inequality(a, b) whether a !== b | [1, "1"]
        greater_than(a, b) whether a > b | [2, 1]
        less_than(a, b) whether a < b | [2, 1]
        greater_than_or_equal(a, b) whether a >= b | [2, 2]
        less_than_or_equal(a, b) whether a <= b | [2, 2]
        nullish(value, default) the value, or the default if it is null or undefined | [null, "none"]
    """,
    "cron": """
        nextDelay(schedule, zone?) seconds until the schedule's next time, in UTC or the zone; -1 for null | ["0 0 * * *", "Europe/Berlin"]
    """,
    "date": """
        fromISOString(text) the date that the text names | ["2023-04-23T12:00:00+02:00"]
        now() milliseconds since 1970 | []
        yyyymmdd() today in UTC | []
        parse(text) milliseconds since 1970, NaN if the text is no date | ["April 23, 2023 12:00:00"]
        getDate(date) the day of the month, local | ["2023-04-23T12:34:56.789Z"]
        getDay(date) the weekday, Sunday is 0, local | ["2023-04-23T12:34:56.789Z"]
        getFullYear(date) the year, local | ["2023-04-23T12:34:56.789Z"]
        getHours(date) the hour, local | ["2023-04-23T12:34:56.789Z"]
        getMilliseconds(date) the milliseconds, local | ["2023-04-23T12:34:56.789Z"]
        getMinutes(date) the minutes, local | ["2023-04-23T12:34:56.789Z"]
        getMonth(date) the month, January is 0, local | ["2023-04-23T12:34:56.789Z"]
        getSeconds(date) the seconds, local | ["2023-04-23T12:34:56.789Z"]
        getTime(date) milliseconds since 1970 | ["2023-04-23T12:34:56.789Z"]
        getTimezoneOffset(date) minutes by which UTC is ahead of local time | ["2023-04-23T12:34:56.789Z"]
        getUTCDate(date) the day of the month in UTC | ["2023-04-23T12:34:56.789Z"]
        getUTCDay(date) the weekday in UTC, Sunday is 0 | ["2023-04-23T12:34:56.789Z"]
        getUTCFullYear(date) the year in UTC | ["2023-04-23T12:34:56.789Z"]
        getUTCHours(date) the hour in UTC | ["2023-04-23T12:34:56.789Z"]
        getUTCMilliseconds(date) the milliseconds in UTC | ["2023-04-23T12:34:56.789Z"]
        getUTCMinutes(date) the minutes in UTC | ["2023-04-23T12:34:56.789Z"]
        getUTCMonth(date) the month in UTC, January is 0 | ["2023-04-23T12:34:56.789Z"]
        getUTCSeconds(date) the seconds in UTC | ["2023-04-23T12:34:56.789Z"]
        setMilliseconds(date, milliseconds) the date with other milliseconds, local | ["2023-04-23T12:34:56Z", 123]
        setMinutes(date, minutes, seconds?, milliseconds?) the date with other minutes, local | ["2023-04-23T12:34:56Z", 45, 30]
        setMonth(date, month, day?) the date with another month, local | ["2023-04-23T12:34:56Z", 7, 15]
        setSeconds(date, seconds, milliseconds?) the date with other seconds, local | ["2023-04-23T12:34:56Z", 30, 123]
        setTime(date, milliseconds) the date that is so many milliseconds after 1970 began | ["2023-04-23T12:34:56Z", 1620000000000]
        setDate(date, day) the date with another day of the month, local; 0 is the last day before | ["2023-04-23T12:34:56Z", 15]
        setFullYear(date, year, month?, day?) the date with another year, local | ["2023-04-23T12:34:56Z", 2024]
        setHours(date, hours, minutes?, seconds?, milliseconds?) the date with other hours, local | ["2023-04-23T12:34:56Z", 15]
        setUTCMilliseconds(date, milliseconds) the date with other milliseconds in UTC | ["2023-04-23T12:34:56Z", 500]
        setUTCMinutes(date, minutes, seconds?, milliseconds?) the date with other minutes in UTC | ["2023-04-23T12:34:56Z", 45]
        setUTCMonth(date, month, day?) the date with another month in UTC | ["2023-04-23T12:34:56Z", 2]
        setUTCSeconds(date, seconds, milliseconds?) the date with other seconds in UTC | ["2023-04-23T12:34:56Z", 30]
        setUTCDate(date, day) the date with another day of the month in UTC | ["2023-04-23T12:34:56Z", 15]
        setUTCFullYear(date, year, month?, day?) the date with another year in UTC | ["2023-04-23T12:34:56Z", 2025]
        setUTCHours(date, hours, minutes?, seconds?, milliseconds?) the date with other hours in UTC | ["2023-04-23T12:34:56Z", 18]
        toDateString(date) the local day for people | ["2023-04-23T12:34:56Z"]
        toISOString(date) the standard's form, in UTC | ["2023-04-23T12:34:56Z"]
        toISOXString(date) the compact form YYYYMMDDHHmmss.mmm, in UTC | ["2023-04-23T12:34:56Z"]
        toJSON(date) the standard's form, null for an invalid date | ["2023-04-23T12:34:56Z"]
        toLocaleDateString(date, locale?, options?) the local day in American English | ["2023-04-23T12:34:56Z", "en-US", {"dateStyle": "long"}]
        toLocaleString(date, locale?, options?) local day and time in American English | ["2023-04-23T12:34:56Z", "en-US", {"timeZone": "Asia/Tokyo"}]
        toLocaleTimeString(date, locale?, options?) the local time in American English | ["2023-04-23T12:34:56Z"]
        toString(date) local day, time and zone for people | ["2023-04-23T12:34:56Z"]
        UTC(year, month?, day?, hours?, minutes?, seconds?, milliseconds?) milliseconds since 1970 of fields in UTC | [2023, 3, 23]
        valueOf(date) milliseconds since 1970 | ["2023-04-23T12:34:56Z"]
    """,
    "json": """
        stringify(value, names?, indent?) the value as JSON; only the named properties; indented by so many blanks | [{"a": 1, "b": [true, null]}, null, 0]
        parse(text) the value that the JSON text stands for | ["{\\"a\\": 1}"]
    """,
    "logical": """
        and(values…) the first value that is not truthy, else the last | [1, 0, 2]
        or(values…) the first truthy value, else the last | [0, "", "x"]
    """,
    "math": """
        add(numbers…) the sum, also of numbers in arrays | [1, [2, 3]]
        subtract(numbers…) the first less all others | [10, 2, 3]
        multiply(numbers…) the product | [2, 3, 4]
        divide(numbers…) the first divided by each of the others; NaN by 0 | [12, 2, 3]
        abs(number) the value without its sign | [-5]
        acos(number) the inverse cosine | [1]
        acosh(number) the inverse hyperbolic cosine | [1]
        asin(number) the inverse sine | [0]
        asinh(number) the inverse hyperbolic sine | [0]
        atan(number) the inverse tangent | [0]
        atan2(y, x) the angle of the point | [0, 1]
        atanh(number) the inverse hyperbolic tangent | [0]
        cbrt(number) the cube root | [27]
        ceil(number) the next whole number upward | [1.2]
        clz32(number) the leading zeros of its 32 bits | [1]
        cos(number) the cosine | [0]
        cosh(number) the hyperbolic cosine | [0]
        exp(number) e to this power | [0]
        expm1(number) e to this power, less 1 | [0]
        floor(number) the next whole number downward | [-1.2]
        fround(number) the nearest number of single precision | [5.5]
        hypot(numbers…) the root of the sum of squares | [3, 4]
        imul(a, b) the product of their low 32 bits | [3, 4]
        log(number) the natural logarithm | [1]
        log10(number) the logarithm to base 10 | [1000]
        log1p(number) the natural logarithm of 1 plus the number | [0]
        log2(number) the logarithm to base 2 | [8]
        max(numbers…) the largest | [1, 3, 2]
        min(numbers…) the smallest | [1, 3, 2]
        pow(base, exponent) base to this power | [2, 10]
        random() a number from 0 up to 1 | []
        round(number) the nearest whole number, a half upward | [-2.5]
        sign(number) 1, -1 or 0 | [-7]
        sin(number) the sine | [0]
        sinh(number) the hyperbolic sine | [0]
        sqrt(number) the square root | [16]
        tan(number) the tangent | [0]
        tanh(number) the hyperbolic tangent | [0]
        trunc(number) the number without its fraction | [-1.8]
    """,
    "number": """
        isFinite(value) whether it is a finite number | [42]
        isEven(value) whether it is an even number | [4]
        isOdd(value) whether it is an odd number | [4]
        isInteger(value) whether it is a whole number | [4.5]
        isNaN(value) whether it cannot be converted to a number | ["x"]
        parseFloat(text) the number at the start of the text | ["3.14 cm"]
        parseInt(text, base?) the whole number at the start of the text | ["ff", 16]
        toFixed(number, digits?) as text with so many digits after the point | [1.005, 2]
        toExponential(number, digits?) as text with an exponent | [12345, 2]
        toPrecision(number, digits?) as text with so many digits | [123.456, 4]
        gte(a, b) whether a >= b | [2, 2]
        lte(a, b) whether a <= b | [2, 2]
        gt(a, b) whether a > b | [2, 2]
        lt(a, b) whether a < b | [2, 2]
        max(numbers…) the largest | [1, 3, 2]
        min(numbers…) the smallest | [1, 3, 2]
        pow(base, exponent) base to this power | [2, 10]
        round(number) the nearest whole number, a half upward | [2.5]
    """,
    "object": """
        get(object, name) the property | [{"a": 1}, "a"]
        set(object, name, value) the object with the property set | [{"a": 1}, "b", 2]
        create(name, value, more?…) an object of these properties | ["a", 1, "b", 2]
        keys(object) the names of its properties | [{"a": 1, "b": 2}]
        values(object) the values of its properties | [{"a": 1, "b": 2}]
        entries(object) pairs of name and value | [{"a": 1, "b": 2}]
        fromEntries(pairs) the object of these pairs | [[["a", 1], ["b", 2]]]
        assign(object, others…) the object with the properties of the others | [{"a": 1}, {"b": 2}]
        getOwnPropertyNames(object) the names of its properties, hidden ones too | [{"a": 1}]
        getOwnPropertySymbols(object) nothing: JSON has no symbols | [{"a": 1}]
        getOwnPropertyDescriptor(object, name) the property's value and marks | [{"a": 1}, "a"]
        defineProperty(object, name, descriptor) the object with the property so defined | [{"a": 1}, "b", {"value": 2}]
        defineProperties(object, descriptors) the object with the properties so defined | [{"a": 1}, {"b": {"value": 2}}]
        freeze(object) the object, which later rows cannot change | [{"a": 1}]
        isFrozen(object) whether it is frozen | [{"a": 1}]
        seal(object) the object, to which later rows can neither add nor redefine | [{"a": 1}]
        isSealed(object) whether it is sealed | [{"a": 1}]
        preventExtensions(object) the object, to which later rows cannot add | [{"a": 1}]
        isExtensible(object) whether properties can be added | [{"a": 1}]
        hasOwnProperty(object, name) whether it has the property | [{"a": 1}, "a"]
        isPrototypeOf(object, other) false: JSON has no prototypes | [{"a": 1}, {}]
        propertyIsEnumerable(object, name) whether it has the property and does not hide it | [{"a": 1}, "a"]
    """,
    "string": """
        split(text, separator?, limit?) the parts between separators | ["a,b,c", ","]
        charAt(text, index) the character at the index | ["abc", 1]
        concat(texts…) the texts joined; null and undefined are empty | ["a", 1, null, "b"]
        includes(text, wanted, start?) whether the wanted text occurs | ["hello", "ell"]
        indexOf(text, wanted, start?) where it occurs first, or -1 | ["hello", "l"]
        lastIndexOf(text, wanted, start?) where it occurs last, or -1 | ["hello", "l"]
        slice(text, start?, end?) the part from start up to end; negative places count from the end | ["hello", 1, -1]
        toLowerCase(text) in small letters | ["Hello"]
        toUpperCase(text) in capitals | ["Hello"]
        trim(text) without white space at both ends | ["  a  "]
        trimStart(text) without white space at its start | ["  a"]
        trimEnd(text) without white space at its end | ["a  "]
        padStart(text, length, filler?) filled up to the length at its start | ["5", 3, "0"]
        padEnd(text, length, filler?) filled up to the length at its end | ["5", 3, "0"]
        replace(text, wanted, by) with the first occurrence replaced | ["a-b-c", "-", "+"]
        search(text, pattern) where the regular expression first matches, or -1; backreferences and lookaround are refused | ["abc123", "[0-9]"]
        substring(text, start, end?) the part between two places, whichever is first | ["hello", 3, 1]
        startsWith(text, wanted, start?) whether it begins so | ["hello", "he"]
        endsWith(text, wanted, end?) whether it ends so | ["hello", "lo"]
        repeat(text, count) the text so many times | ["ab", 3]
    """,
    "symbol": """
        null() null | []
        undefined() undefined: nothing at all | []
        whitespace() a blank | []
        object() an empty object | []
        array() an empty array | []
        posInfinity() infinity | []
        negInfinity() minus infinity | []
        NaN() what is no number | []
        date() the date and time of now | []
    """,
    "unary": """
        not(value) whether the value is not truthy | [0]
        positive(number) the number without its sign | [-42]
        negative(number) the number with the other sign | [42]
        bitwise_not(number) its 32 bits turned over | [42]
    """,
}  # fmt: skip


def _entries(text: str) -> Mapping[str, Entry]:
    entries: dict[str, Entry] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(line)
        example = tuple(json.loads(found["example"]))
        entries[found["name"]] = Entry(found["arguments"], found["answer"], example)
    return MappingProxyType(entries)


def reference() -> Mapping[str, Mapping[str, Entry]]:
    """Domain -> function -> what is to be said of it; the same names as in the table of domains."""
    return MappingProxyType({domain: _entries(text) for domain, text in _TEXTS.items()})
