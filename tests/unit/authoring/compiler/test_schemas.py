"""Generated schemas: what a type takes fits the schema that callers by name are judged by."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic.json_schema import GenerateJsonSchema

from durable.authoring.compiler.schemas import schema_of
from durable.codec.adapters import Adapter
from durable.descriptor.schema_mismatch import mismatch
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
    assert mismatch(schema, json.loads(text)) is None, (schema, text)


class Plainly(GenerateJsonSchema):
    """Pydantic's own way, but for the fields that are not given."""

    def field_is_present(self, field: Any) -> bool:
        return field.get("init", True) is not False and super().field_is_present(field)


@given(st.data())
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
def test_the_short_way_gives_what_pydantic_gives(data: st.DataObject) -> None:
    """Over generated types: versions of graphs depend on it."""
    adapter = Adapter(data.draw(PAIRS)[0], owner="f()", path="x")
    machine = adapter.prepare()
    usual = machine.adapter.json_schema(by_alias=False, schema_generator=Plainly)
    assert json.dumps(schema_of(adapter.json_schema)) == json.dumps(schema_of(lambda: usual))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_are_not_finite_fit(value: float) -> None:
    """They are written as text, which fits where a number is meant; other text does not."""
    adapter = Adapter(tuple[float, str], owner="f()", path="x")
    schema = schema_of(adapter.json_schema)
    assert mismatch(schema, json.loads(adapter.encode((value, "")))) is None
    assert mismatch(schema, ["much", ""]) == "payload[0] is not of type number"
