"""Generated schemas: what a type takes fits the schema that callers by name are judged by."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable.authoring.compiler.schemas import schema_of
from durable.codec.adapters import Adapter
from durable.descriptor.misfits import misfit
from durable.errors import PayloadError
from tests.unit.codec.test_round_trips import PAIRS


@given(st.data())
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
def test_what_a_type_takes_fits_its_schema(data: st.DataObject) -> None:
    """Over generated types and values: nothing that a worker would read is refused by name."""
    hint, values = data.draw(PAIRS)
    adapter = Adapter(hint, owner="f()", path="x")
    value: Any = data.draw(values)
    try:
        text = adapter.encode(value)
    except PayloadError:
        return
    schema = schema_of(adapter.json_schema)
    assert misfit(schema, json.loads(text)) is None, (schema, text)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_are_not_finite_fit(value: float) -> None:
    """They are written as text, which fits where a number is meant; other text does not."""
    adapter = Adapter(tuple[float, str], owner="f()", path="x")
    schema = schema_of(adapter.json_schema)
    assert misfit(schema, json.loads(adapter.encode((value, "")))) is None
    assert misfit(schema, ["much", ""]) == "payload[0] is not of type number"
