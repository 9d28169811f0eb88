"""Definitions: the frozen values that decorators return and workers collect.

A definition knows its function, its name, the shapes of its arguments and result (`Signature`) and
its options. It holds no connection and registers itself nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from durable.codec.signature import Signature
from durable.protocol.options import ActivityOptions, WorkflowOptions


@dataclass(frozen=True, slots=True)
class ActivityDefinition:
    """An activity: a function that touches the world. `is_async` False means: run on a thread."""

    name: str
    fn: Callable[..., Any]
    signature: Signature
    options: ActivityOptions
    is_async: bool
    site: str  # "file:line" of the function


@dataclass(frozen=True, slots=True)
class WorkflowDefinition:
    """A workflow: an async function that is replayed."""

    name: str
    fn: Callable[..., Any]
    signature: Signature
    options: WorkflowOptions
    site: str  # "file:line" of the function
