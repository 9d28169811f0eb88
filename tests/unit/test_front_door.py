"""The front door: what `import durable` gives is what `__all__` says, and each has a docstring."""

from __future__ import annotations

import inspect
import types

import pytest

import durable


def test_all_is_what_is_exported():
    """`__all__` names each public object and nothing else."""
    public = {
        name
        for name, value in vars(durable).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and name != "annotations"
    }
    assert set(durable.__all__) == public
    assert len(set(durable.__all__)) == len(durable.__all__)


def test_what_is_exported_is_documented():
    """Each class and function that users get says what it is."""
    for name in durable.__all__:
        value = getattr(durable, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


@pytest.mark.parametrize(
    "given", [3, object(), {"password": "secret"}], ids=["number", "object", "dict"]
)
async def test_what_names_no_database_is_refused(given: object) -> None:
    """Neither text nor a pool: the error says what there may be, and repeats no password."""
    with pytest.raises(durable.ConfigurationError, match="give text, such as") as refused:
        await durable.connect(given)  # type: ignore[call-overload, arg-type, unused-ignore]
    assert "secret" not in str(refused.value)
