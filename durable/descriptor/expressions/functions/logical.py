"""`@logical`: and, or. As in JavaScript the deciding value itself is the result."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions.arguments import Arguments, Function
from durable.descriptor.expressions.values import UNDEFINED, truthy


def _and(args: Arguments) -> object:
    last: object = UNDEFINED
    for last in args.values:
        if not truthy(last):
            break
    return last


def _or(args: Arguments) -> object:
    last: object = UNDEFINED
    for last in args.values:
        if truthy(last):
            break
    return last


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType({"and": _and, "or": _or})
