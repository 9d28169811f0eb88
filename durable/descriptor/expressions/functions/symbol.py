"""`@symbol`: values that a descriptor cannot write down, or only with difficulty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.dates import Moment
from durable.descriptor.expressions.functions.arguments import Function
from durable.descriptor.expressions.values import UNDEFINED

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "null": lambda _args: None,
        "undefined": lambda _args: UNDEFINED,
        "whitespace": lambda _args: " ",
        "object": lambda _args: {},
        "array": lambda _args: [],
        "posInfinity": lambda _args: math.inf,
        "negInfinity": lambda _args: -math.inf,
        "NaN": lambda _args: math.nan,
        "date": lambda args: Moment(float(math.floor(args.context.now())), args.context.zone),
    }
)
