"""Patterns mean what they mean in JavaScript, and are searched for in linear time."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time

import pytest

from durable.descriptor.document import load
from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.expressions.regex_syntax import RegexError
from durable.descriptor.expressions.regexes import LONGEST_TEXT, compile_regex
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import call

NODE = shutil.which("node")
ATOMS = (
    r"a b 1 _ - . \d \D \w \W \s \S [ab] [^a] [a-c1] [\d-x] [\S] [^\w] [] [^] \. \- \n \x61 \u0062"
    r" \b \B ^ $ { } ] a{ {a} \/ [\b] [a-] [-a] [\]] \cA \t x{,2} é \xg \uz () [[] \e"
)
COUNTS = "* + ? {2} {1,2} {0} {0,1} {1,} *? +? ?? {2,1} **"
SEARCH = """const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const search = ([text, pattern]) => {
  try { return text.search(pattern) } catch { return 'throws' }
};
process.stdout.write(JSON.stringify(cases.map(search)))"""


def pattern(rng: random.Random, depth: int) -> str:
    """A pattern of random parts, by no means always a valid one."""
    written = ""
    for _ in range(rng.randint(0, 4)):
        part = rng.choice(ATOMS.split())
        if depth and rng.random() < 0.3:
            part = rng.choice(["({})", "(?:{})", "(?<n>{})"]).format(pattern(rng, depth - 1))
        if rng.random() < 0.35:
            part += rng.choice(COUNTS.split())
        written += part + ("|" if rng.random() < 0.12 else "")
    return written if written.count("(?<n>") < 2 else ""


def ours(text: str, wanted: str) -> int | str:
    try:
        return compile_regex(wanted).search(text)
    except RegexError:
        return "throws"


@pytest.mark.skipif(NODE is None, reason="no Node here to compare with")
def test_finds_what_node_finds():
    """Of 8,000 generated patterns each finds the place, or is refused, as in Node."""
    rng = random.Random(7)
    texts = ["".join(rng.choices("aab1 _-.\n\u2028éx{}]/\t", k=n % 9)) for n in range(8000)]
    cases = [(text, pattern(rng, 2)) for text in texts]
    done = subprocess.run(
        [NODE or "", "-e", SEARCH],
        input=json.dumps(cases),
        text=True,
        capture_output=True,
        check=True,
    )
    there = json.loads(done.stdout)
    wrong = [
        (wanted, text, node, ours(text, wanted))
        for (text, wanted), node in zip(cases, there, strict=True)
        if ours(text, wanted) != node
    ]
    assert not wrong, wrong[:10]
    assert sum(isinstance(place, int) and place > 0 for place in there) > 200


EXPLOSIVE = [
    ("(a+)+$", "a" * 30 + "!", -1),
    ("^(\\w+\\s?)*$", "a" * 45 + "!", -1),
    ("(a|a)*$", "a" * 200_000 + "!", 200_001),
    ("a+b", "a" * 500_000, -1),
    (".*.*.*.*.*=", "x" * 200_000, -1),
    ("(a|b)*a(a|b){300}", "ab" * 50_000, 0),
    ("[ab]{400}a", "".join(random.Random(3).choices("ab", k=100_000)), "throws"),
]


@pytest.mark.parametrize(("wanted", "text", "expected"), EXPLOSIVE)
def test_no_pattern_explodes(wanted, text, expected):
    """What keeps a backtracking engine busy for hours is answered or refused within a second."""
    began = time.process_time()
    answer = ours(text, wanted)
    assert time.process_time() - began < 3, "a machine under load has three times as long"
    assert answer == expected


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("(a)\\1", "backreference"),
        ("(?<n>a)\\k<n>", "backreference"),
        ("a(?=b)", "lookaround"),
        ("a(?!b)", "lookaround"),
        ("(?<=a)b", "lookaround"),
        ("(?<!a)b", "lookaround"),
        ("\\01", "octal"),
        ("(?i)a", "unknown mark"),
        ("(?P<n>a)", "unknown mark"),
        ("a++", "nothing to repeat"),
        ("[z-a]", "out of order"),
        ("(", "not closed"),
        (")", "closes no group"),
        ("[a", "not closed"),
        ("(" * 60 + ")" * 60, "nested deeper"),
        ("((a{99}){99}){99}", "too large"),
        ("(){999999999999}", "too large"),
        ("a" * 1001, "longer than"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_by_name(wanted, reason):
    """A pattern that has no linear search, or is none, is refused with the reason."""
    with pytest.raises(RegexError, match=reason):
        compile_regex(wanted)


def test_a_text_too_long_is_refused():
    """A text has a longest length, so that no search takes an engine's time away."""
    with pytest.raises(DescriptorError, match="1,000,000 characters"):
        call("string.search", ["a" * (LONGEST_TEXT + 1), "b"])


ROWS = [["{start.output.data.s}", "(a)\\1"], ["{@string.search}"]]
DEPLOYED = """app:
  id: patterns
  version: '1'
  graphs:
    - subscribes: t
      activities:
        start:
          type: trigger
          job:
            maps:
              at:
                '@pipe':
                  - ['{$self.output.data.s}', 'a(?=b)']
                  - ['{@string.search}', '(']
                  - ['{@string.search}', 'fine+']
                  - ['{@string.search}']
"""


def test_patterns_are_checked_at_deploy():
    """A pattern that stands in a descriptor is refused before it is deployed, by path and line."""
    where = "app.graphs[0].activities.start.job.maps.at.@pipe"
    with pytest.raises(DescriptorError) as caught:
        load(DEPLOYED)
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        f"line 13, {where}[0][1]",
        f"line 14, {where}[1][1]",
    ]


def test_a_pattern_in_a_stored_version_ends_only_the_job_that_needs_it():
    """What was stored before patterns were refused still loads; evaluating it says why it fails."""
    expression = compile_value({"@pipe": ROWS})
    data = resolver({"start": {"output": {"data": {"s": "aa"}}}})
    with pytest.raises(DescriptorError, match="backreference"):
        expression.evaluate(Context(data))
