"""The front door: what `import durable` gives is what `__all__` says, and each has a docstring."""

from __future__ import annotations

import inspect
import types

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
