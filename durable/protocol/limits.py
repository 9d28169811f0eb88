"""Limits of ids, names and numbers, checked by whoever is given them, before anything is sent.

A value that Postgres would refuse is refused here, with the limit's name: the same for clients, for
children within a workflow, for the command and for the options of a worker.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from durable.errors import ConfigurationError

ID_BYTES_MAX: Final = 2_000  # of UTF-8: an index has to hold the id, with room to spare
NAME_BYTES_MAX: Final = 1_000
PRIORITY_MAX: Final = 32_767  # a smallint, of either sign
COUNT_MAX: Final = 2**31 - 1
BIGINT_MAX: Final = 2**63 - 1

QUEUE_LONGEST = 200  # characters, as of an app's id
_SHOWN_MAX = 100  # characters of what was given, in a message
_CONTROL = frozenset({"Cc", "Cs"})  # control characters, and halves of surrogate pairs


def check_id(option: str, value: object, caller: str) -> str:
    """The id of a run that is to be started.

    Args:
        option: what it was given as, for the message.
        value: what was given.
        caller: where it was given.

    Example:
        >>> check_id("id", "order-1", "client.start()")
        'order-1'
    """
    return _sized(option, _text(option, value, caller), caller, ID_BYTES_MAX)


def check_name(option: str, value: object, caller: str) -> str:
    """The name of a workflow, an activity, a signal or a task queue.

    Example:
        >>> check_name("task_queue", " gpu", "client.start()")
        Traceback (most recent call last):
        ...
        durable.errors.ConfigurationError: client.start(): task_queue=' gpu': give text that is...
    """
    return _sized(option, check_text(option, value, caller), caller, NAME_BYTES_MAX)


def check_queue(option: str, value: object, caller: str) -> str:
    """The task queue of a workflow: the app that its graph is deployed to is called so.

    Example:
        >>> check_queue("task_queue", "far away", "client.start()")
        Traceback (most recent call last):
        ...
        durable.errors.ConfigurationError: client.start(): task_queue='far away': the task queue...
    """
    name = check_name(option, value, caller)
    if len(name) > QUEUE_LONGEST or any(c.isspace() or c in "{}" for c in name):
        raise ConfigurationError(
            f"{caller}: {option}={_shown(name)}: the task queue of a workflow has no blanks or"
            f" braces, and {QUEUE_LONGEST} characters at most"
        )
    return name


def check_text(option: str, value: object, caller: str) -> str:
    """Text that is not empty, without control characters or surrounding blanks."""
    if isinstance(value, str) and value and value == value.strip() and value.isprintable():
        return value
    raise _no_text(option, value, caller)


def check_sought(option: str, value: object, caller: str) -> str:
    """Text by which something that is there is looked for: only what could not be there is refused.

    Example:
        >>> check_sought("id_prefix", "order-", "client.list()")
        'order-'
    """
    if isinstance(value, str) and _is_storable(value):
        return value
    raise ConfigurationError(
        f"{caller}: {option}={_shown(value)}: give text, without NUL and without halves of"
        " surrogate pairs"
    )


def check_fields(option: str, value: object, caller: str) -> dict[str, Any]:
    """Plain data by name, copied one level deep.

    Example:
        >>> check_fields("data", {"id": "t1"}, "pub()")
        {'id': 't1'}
    """
    if isinstance(value, Mapping):
        return dict(value)
    raise ConfigurationError(
        f'{caller}: {option}={_shown(value)}: give a dict such as {{"id": "a1"}}'
    )


def check_priority(value: object, caller: str) -> int:
    """A priority, as the column holds it."""
    if type(value) is not int or abs(value) > PRIORITY_MAX:
        raise ConfigurationError(
            f"{caller}: priority={_shown(value)}: give an int between"
            f" -{PRIORITY_MAX} and {PRIORITY_MAX}; larger goes first"
        )
    return value


def check_count(
    option: str, value: object, caller: str, *, least: int = 1, most: int = COUNT_MAX
) -> int:
    """How many, at least and at most.

    Example:
        >>> check_count("limit", "5", "client.list()")
        Traceback (most recent call last):
        ...
        durable.errors.ConfigurationError: client.list(): limit='5': give an int from 1 to...
    """
    if type(value) is not int or not least <= value <= most:
        raise ConfigurationError(
            f"{caller}: {option}={_shown(value)}: give an int from {least:,} to {most:,}"
        )
    return value


def check_one_of(option: str, value: object, caller: str, known: tuple[str, ...]) -> str:
    """One of the words that there are."""
    if value not in known:
        raise ConfigurationError(
            f"{caller}: {option}={_shown(value)}: there are {', '.join(map(repr, known))}"
        )
    return str(value)


def check_several(option: str, value: object, caller: str) -> list[Any]:
    """Several values: neither text, of which each character would be one, nor a single thing.

    Example:
        >>> check_several("args", "EUR", "virtual.exec()")
        Traceback (most recent call last):
        ...
        durable.errors.ConfigurationError: virtual.exec(): args='EUR': give a list
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{caller}: {option}={_shown(value)}: give a list")
    return list(value)


def _text(option: str, value: object, caller: str) -> str:
    if not isinstance(value, str) or not value or value != value.strip():
        raise _no_text(option, value, caller)
    if any(unicodedata.category(char) in _CONTROL for char in value):
        raise _no_text(option, value, caller)
    return value


def _sized(option: str, value: str, caller: str, most: int) -> str:
    size = len(value.encode())
    if size > most:
        raise ConfigurationError(
            f"{caller}: {option}={_shown(value)} has {size:,} bytes, and {most:,} is the most"
        )
    return value


def _no_text(option: str, value: object, caller: str) -> ConfigurationError:
    return ConfigurationError(
        f"{caller}: {option}={_shown(value)}: give text that is not empty, without control"
        " characters and without blanks around it"
    )


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
