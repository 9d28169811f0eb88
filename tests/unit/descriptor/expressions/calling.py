"""Calls a pipe function as a pipe does, and compares as JavaScript would."""

from __future__ import annotations

import math
from datetime import UTC, tzinfo

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.pipe import compile_value

NOW = 1_700_000_000_123.75  # 14 November 2023, 22:13:20.123 and three quarters
NAN = math.nan
INF = math.inf


def call(name: str, args: list[object], zone: tzinfo = UTC) -> object:
    """The result of `{@name}` on these arguments, handed in as data so that nothing is parsed."""
    data = {f"a{i}": value for i, value in enumerate(args)}
    row = [f"{{t1.output.data.a{i}}}" for i in range(len(args))]
    rows: list[object] = [row, [f"{{@{name}}}"]] if row else [[f"{{@{name}}}"]]
    context = Context(
        resolver({"t1": {"output": {"data": data}}}),
        now=lambda: NOW,
        random=lambda: 0.25,
        zone=zone,
    )
    return compile_value({"@pipe": rows}).evaluate(context)


def same(left: object, right: object) -> bool:
    """Equal in type and value; NaN is NaN, -0 is not 0; doubles may differ in the last digit."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return math.copysign(1, left) == math.copysign(1, right) and math.isclose(
            left, right, rel_tol=4.5e-16
        )
    return type(left) is type(right) and left == right
