"""The tree of errors: one root, every class drawn and exported, each says what it is."""

from __future__ import annotations

import inspect

import pytest

import durable
from durable import errors

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__ == errors.__name__
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_error_is_under_the_root_documented_and_public(cls: type[Exception]):
    """Each error is under DurableError, has a docstring, is drawn, and is exported."""
    assert issubclass(cls, durable.DurableError)
    assert cls.__doc__
    assert cls.__name__ in (errors.__doc__ or "")
    assert getattr(durable, cls.__name__) is cls
    assert cls.__name__ in durable.__all__


def test_the_drawing_is_true():
    """Each line of the drawing stands under its parent class."""
    path: list[str] = []
    drawn = 0
    for line in (errors.__doc__ or "").splitlines():
        if "──" not in line:
            continue
        depth = line.index("──") // 4
        path[depth - 1 :] = [line.split("── ")[1].split()[0]]
        cls = getattr(errors, path[-1])
        parent = errors.DurableError if depth == 1 else getattr(errors, path[-2])
        assert parent in cls.__bases__, line
        drawn += 1
    assert drawn == len(CLASSES) - 1


def test_timeouts_are_timeouts():
    """`except TimeoutError` takes durable's timeouts too."""
    assert issubclass(errors.ActivityTimeout, TimeoutError)
    assert issubclass(errors.ResultTimeout, TimeoutError)


def test_causes_are_chained():
    """The cause of a failed step or workflow is also Python's own cause, so tracebacks show it."""
    cause = ValueError("no")
    assert errors.ActivityFailed("x", cause=cause).__cause__ is cause
    assert errors.WorkflowFailed("x", cause=cause).__cause__ is cause
    assert errors.WorkflowFailed("x", cause=cause).cause is cause
