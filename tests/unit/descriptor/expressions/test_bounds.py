"""An expression's work is bounded: no data keeps an engine busy, fills its memory, or breaks it."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.functions.table import DOMAINS
from durable.descriptor.expressions.pipe import compile_value
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import call

DEEP: Any = []
for _ in range(20_000):
    DEEP = [DEEP]
DOUBLED: Any = []
for _ in range(64):
    DOUBLED = [DOUBLED, DOUBLED]  # 2^64 arrays when it is written down
HUGE = "9" * 20_000
TEXT = "ab" * 1_000_000
NASTY = [HUGE, DEEP, int("9" * 4000), {HUGE: 1}, 1e308, "[" * 100_000]
SLOW = 5.0  # seconds of this process, on a machine that has others to serve


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_function_is_kept_busy_by_nasty_values(domain: str) -> None:
    """Each function, on huge, deep and doubled values: an answer or a refusal, and soon."""
    for name in DOMAINS[domain]:
        for value in NASTY:
            began = time.process_time()
            for args in ([value], [value, value], ["ab", 1e308, value]):
                with contextlib.suppress(DescriptorError):
                    call(f"{domain}.{name}", args)
            took = time.process_time() - began
            assert took < SLOW, f"{domain}.{name} of {type(value)} took {took:.1f} s"


REFUSED = [
    ("array.join", [["x"] * 100_000, TEXT], "longer than"),
    ("string.concat", [TEXT] * 20, "longer than"),
    ("string.replace", [TEXT, "b", "$`$'" * 1000], "longer than"),
    ("string.split", [TEXT * 2, ""], "more than"),
    ("string.split", [TEXT * 2, "a"], "more than"),
    ("array.sort", [list(range(100_001))], "are sorted"),
    ("json.stringify", [DOUBLED], "longer than|more than"),
    ("array.join", [DOUBLED], "longer than|more than"),
    ("array.join", [DEEP], "nested too deeply"),
    ("math.add", [DOUBLED], "more than"),
    ("json.parse", ["[" * 100_000], "nested too deeply"),
]


@pytest.mark.parametrize(
    ("name", "args", "reason"), REFUSED, ids=[f"{n}-{name}" for n, (name, *_) in enumerate(REFUSED)]
)
def test_what_would_be_too_large_is_refused(name: str, args: list[object], reason: str) -> None:
    """A function says what would become too large, before it does."""
    with pytest.raises(DescriptorError, match=f"{name}.*({reason})"):
        call(name, args)


def result_of(rows: list[object], **data: object) -> object:
    context = Context(resolver({"t": {"output": {"data": data}}}))
    return compile_value({"@pipe": rows}).evaluate(context)


def test_what_is_small_in_memory_only_is_no_result() -> None:
    """A pipe that doubles an array for each item of some data has no result of endless size."""
    rows = [
        ["{t.output.data.items}", []],
        {"@reduce": [["{$output}", "{$output}"], ["{@array.push}"]]},
        ["{@array.concat}"],
    ]
    assert json.dumps(result_of(rows, items=[1] * 5))
    with pytest.raises(DescriptorError, match="too large"):
        result_of(rows, items=[1] * 200)


def test_a_reduction_copies_only_so_much() -> None:
    """What is gathered item by item is copied each time: for too many items that is refused."""
    rows = [
        ["{t.output.data.items}", []],
        {"@reduce": [["{$output}", "{$item}"], ["{@array.push}"]]},
        ["{@array.length}"],
    ]
    assert result_of(rows, items=[1] * 2000) == 2000
    with pytest.raises(DescriptorError, match="too much"):
        result_of(rows, items=[1] * 20_000)
