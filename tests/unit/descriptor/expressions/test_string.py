"""`@string`: what each function answers, and when it refuses.

The answers in JAVASCRIPT were given by Node 20.
"""

from __future__ import annotations

import pytest

from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import INF, NAN, call, same

JAVASCRIPT = [
    ("split", ["a b c", " "], ["a", "b", "c"]),
    ("split", ["a,b,,c", ","], ["a", "b", "", "c"]),
    ("split", ["abc", ""], ["a", "b", "c"]),
    ("split", ["abc"], ["abc"]),
    ("split", ["abc", UNDEFINED], ["abc"]),
    ("split", ["abc", "x"], ["abc"]),
    ("split", ["", ","], [""]),
    ("split", ["", ""], []),
    ("split", ["a,b,c", ",", 2], ["a", "b"]),
    ("split", ["a,b,c", ",", 0], []),
    ("split", ["a,b,c", ",", -1], ["a", "b", "c"]),
    ("split", ["anullb", None], ["a", "b"]),
    ("split", ["a1b", 1], ["a", "b"]),
    ("charAt", ["hello", 0], "h"),
    ("charAt", ["hello", 4], "o"),
    ("charAt", ["hello", 5], ""),
    ("charAt", ["hello", -1], ""),
    ("charAt", ["hello"], "h"),
    ("charAt", ["hello", "1"], "e"),
    ("charAt", ["hello", 1.9], "e"),
    ("charAt", ["hello", None], "h"),
    ("charAt", ["a🙂b", 0], "a"),
    ("charAt", ["a🙂b", 3], "b"),
    ("charAt", ["", 0], ""),
    ("concat", ["John", " ", "Doe"], "John Doe"),
    ("concat", ["a", 1, True], "a1true"),
    ("concat", ["a", None, UNDEFINED, "b"], "ab"),
    ("concat", [], ""),
    ("concat", ["x", [1, [2, None]]], "x1,2,"),
    ("concat", ["o", {"a": 1}], "o[object Object]"),
    ("concat", ["n", 1e21, 0.1, -0.0], "n1e+210.10"),
    ("includes", ["The fox", "fox"], True),
    ("includes", ["The fox", "Fox"], False),
    ("includes", ["abc", ""], True),
    ("includes", ["abc", "a", 1], False),
    ("includes", ["abc", "c", -5], True),
    ("includes", ["abc", "abcd"], False),
    ("includes", ["a1", 1], True),
    ("indexOf", ["The quick brown fox", "fox"], 16),
    ("indexOf", ["aXbX", "X", 2], 3),
    ("indexOf", ["abc", "z"], -1),
    ("indexOf", ["abc", "", 10], 3),
    ("indexOf", ["abc", "", 1], 1),
    ("indexOf", ["abc", "a", -3], 0),
    ("indexOf", ["a🙂b", "b"], 3),
    ("indexOf", ["a🙂b", "b", 2], 3),
    ("indexOf", ["undefined"], 0),
    ("indexOf", ["abcabc", "c", NAN], 2),
    ("lastIndexOf", ["aXbX", "X"], 3),
    ("lastIndexOf", ["aXbX", "X", 2], 1),
    ("lastIndexOf", ["aXbX", "X", 0], -1),
    ("lastIndexOf", ["XaXb", "X", 0], 0),
    ("lastIndexOf", ["abc", "z"], -1),
    ("lastIndexOf", ["abc", ""], 3),
    ("lastIndexOf", ["abc", "", 1], 1),
    ("lastIndexOf", ["abc", "a", -3], 0),
    ("lastIndexOf", ["a🙂ba🙂b", "b"], 7),
    ("lastIndexOf", ["abcabc", "c", NAN], 5),
    ("lastIndexOf", ["abcabc", "abc", 2], 0),
    ("lastIndexOf", ["abcabc", "abc", 3], 3),
    ("slice", ["hello", 1, 3], "el"),
    ("slice", ["hello", -3], "llo"),
    ("slice", ["hello", -3, -1], "ll"),
    ("slice", ["hello", 3, 1], ""),
    ("slice", ["hello"], "hello"),
    ("slice", ["hello", UNDEFINED, 2], "he"),
    ("slice", ["hello", 0, None], ""),
    ("slice", ["hello", "1", "3"], "el"),
    ("slice", ["hello", -INF, INF], "hello"),
    ("slice", ["a🙂b", 3], "b"),
    ("slice", ["a🙂b", 0, 1], "a"),
    ("slice", ["hello", 1.7, 3.2], "el"),
    ("substring", ["hello", 4, 9], "o"),
    ("substring", ["hello", 3, 1], "el"),
    ("substring", ["hello", -1, 2], "he"),
    ("substring", ["hello", NAN, 2], "he"),
    ("substring", ["hello", 2], "llo"),
    ("substring", ["hello", 1, UNDEFINED], "ello"),
    ("substring", ["hello", 0, None], ""),
    ("substring", ["a🙂b", 3, 4], "b"),
    ("toLowerCase", ["HeLLo"], "hello"),
    ("toLowerCase", ["ÄÖÜ"], "äöü"),
    ("toLowerCase", ["İ"], "i̇"),
    ("toLowerCase", ["ΑΣ"], "ας"),
    ("toUpperCase", ["straße"], "STRASSE"),
    ("toUpperCase", ["abc"], "ABC"),
    ("toUpperCase", ["ŉ"], "\u02bcN"),
    ("trim", ["  a b \t\n"], "a b"),
    ("trim", ["\u00a0\ufeffx\u3000"], "x"),
    ("trim", [""], ""),
    ("trim", ["\u200bx"], "\u200bx"),
    ("trimStart", ["  a "], "a "),
    ("trimStart", ["\n\na\n"], "a\n"),
    ("trimEnd", ["  a "], "  a"),
    ("trimEnd", ["\n\na\n"], "\n\na"),
    ("padStart", ["5", 3, "0"], "005"),
    ("padStart", ["5", 3], "  5"),
    ("padStart", ["abc", 2, "x"], "abc"),
    ("padStart", ["a", 6, "xyz"], "xyzxya"),
    ("padStart", ["a", 3, ""], "a"),
    ("padStart", ["a", NAN, "x"], "a"),
    ("padStart", ["a", "4", "-"], "---a"),
    ("padStart", ["🙂", 4, "x"], "xx🙂"),
    ("padStart", ["a", 5, 12], "1212a"),
    ("padEnd", ["5", 3, "0"], "500"),
    ("padEnd", ["5", 3], "5  "),
    ("padEnd", ["abc", 2, "x"], "abc"),
    ("padEnd", ["a", 6, "xyz"], "axyzxy"),
    ("padEnd", ["a", 3, ""], "a"),
    ("replace", ["aXbX", "X", "-"], "a-bX"),
    ("replace", ["abc", "z", "-"], "abc"),
    ("replace", ["abc", "", "-"], "-abc"),
    ("replace", ["abc", "b", "[$&]"], "a[b]c"),
    ("replace", ["abc", "b", "$$"], "a$c"),
    ("replace", ["abc", "b", "$`|$'"], "aa|cc"),
    ("replace", ["abc", "b", "$1"], "a$1c"),
    ("replace", ["abc", "b"], "aundefinedc"),
    ("replace", ["a.c", ".", "x"], "axc"),
    ("replace", ["a1c", 1, 2], "a2c"),
    ("replace", ["abc", "b", "$"], "a$c"),
    ("search", ["hello world", "o w"], 4),
    ("search", ["abc", "z"], -1),
    ("search", ["a1b22", "\\d{2}"], 3),
    ("search", ["abc"], 0),
    ("search", ["a\nb", "b$"], 2),
    ("search", ["a\n", "a$"], -1),
    ("search", ["x🙂b", "b"], 3),
    ("search", ["foo.bar", "\\."], 3),
    ("search", ["a\u00a0b", "\\s"], 1),
    ("search", ["é", "\\w"], -1),
    ("search", ["abc", "[[]"], -1),
    ("search", ["a]b", "[\\]]"], 1),
    ("search", ["ab12", "(?<n>\\d){2}|12"], 2),
    ("search", ["a/b", "\\/"], 1),
    ("search", ["aXb", "[^]b"], 1),
    ("search", ["a-b", "[a\\-]b"], 1),
    ("search", ["٣", "\\d"], -1),
    ("startsWith", ["hello", "he"], True),
    ("startsWith", ["hello", "lo"], False),
    ("startsWith", ["hello", "llo", 2], True),
    ("startsWith", ["hello", "", 99], True),
    ("startsWith", ["hello", "h", -1], True),
    ("endsWith", ["hello", "lo"], True),
    ("endsWith", ["hello", "he"], False),
    ("endsWith", ["hello", "hel", 3], True),
    ("endsWith", ["hello", ""], True),
    ("endsWith", ["hello", "o", 99], True),
    ("endsWith", ["hello", "h", -1], False),
    ("repeat", ["ab", 3], "ababab"),
    ("repeat", ["ab", 0], ""),
    ("repeat", ["ab", "2"], "abab"),
    ("repeat", ["ab", 2.9], "abab"),
    ("repeat", ["", 5], ""),
]


@pytest.mark.parametrize(("name", "args", "expected"), JAVASCRIPT)
def test_answers_as_javascript_does(name, args, expected):
    """On these arguments each function gives what JavaScript gives."""
    assert same(call(f"string.{name}", args), expected)


OURS = [
    # Halves of an emoji come out as the replacement character, never as a lone surrogate.
    ("charAt", ["a🙂b", 1], "\ufffd"),
    ("slice", ["a🙂b", 0, 2], "a\ufffd"),
    ("substring", ["🙂🙂", 1, 3], "\ufffd\ufffd"),
    # Whole characters, where JavaScript would give four halves.
    ("split", ["🙂é", ""], ["🙂", "é"]),
    ("concat", [UNDEFINED], ""),
]


@pytest.mark.parametrize(("name", "args", "expected"), OURS)
def test_never_leaves_half_a_character(name, args, expected):
    """Where JavaScript would make text that no database stores, the result stays storable."""
    result = call(f"string.{name}", args)
    assert result == expected
    str(result).encode()


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("split", [UNDEFINED, " "], r"undefined \(is the path right\?\)"),
        ("charAt", [None, 0], "not on null"),
        ("toLowerCase", [5], "not on a number"),
        ("trim", [[]], "not on an array"),
        ("slice", [{}], "not on an object"),
        ("includes", [True, "x"], "not on a boolean"),
        ("repeat", ["a", -1], "negative"),
        ("repeat", ["a", INF], "infinite"),
        ("repeat", ["abc", 1e9], "longer than"),
        ("padStart", ["a", 1e12], "longer than"),
        ("padEnd", ["a", INF], "longer than"),
        ("search", ["a", "("], "pattern"),
        ("search", ["a", "(a)\\1"], "backreference"),
        ("search", ["a", "a" * 2000], "pattern"),
    ],
)
def test_refuses_what_javascript_throws_at(name, args, reason):
    """A wrong receiver, an endless text and a broken pattern are errors that name the function."""
    with pytest.raises(DescriptorError, match=rf"@string\.{name}\}} cannot do this: .*{reason}"):
        call(f"string.{name}", args)


def test_messages_do_not_show_values():
    """What a function refuses may be secret, so the message says only what it is."""
    with pytest.raises(DescriptorError) as caught:
        call("string.trim", [{"password": "hunter2"}])
    assert "hunter2" not in str(caught.value)
