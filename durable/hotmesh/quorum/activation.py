"""Activation: every engine makes the version ready and says so, then one commit switches them all.

Engines read the active version with every start, so that the commit is the moment, whatever was
said before. The call finds out whether each engine there is *can* run the version. It holds no lock
and leaves no mode behind: when two call at once each switches whole, in the order of their commits,
and a caller that dies has either switched or not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from durable.errors import ConfigurationError
from durable.hotmesh.quorum.bus import Bus, Called
from durable.hotmesh.quorum.roster import Roster

PATIENCE = (1, 2, 4)  # the call is repeated, and given more time each time


async def activate(
    bus: Bus, roster: Roster, version: str, delay: float, switch: Callable[[], Awaitable[None]]
) -> None:
    """Switch an app to a version once all its engines have answered.

    Args:
        bus: asks the engines.
        roster: the consumers of the app.
        version: of the app.
        delay: seconds of the first wait for answers; two longer ones follow.
        switch: makes the version the active one, or raises for one that is not deployed.

    Dead engines are not waited for. Raises `ConfigurationError` that names the engines which did
    not answer, or cannot run the version; nothing is switched then.
    """
    ready = {"type": "activate", "cache_mode": "nocache", "until_version": version}
    if await roster.deployed(version):
        windows = [delay * times for times in PATIENCE]
        called = await bus.call(ready, lambda c: c.topic is None, windows)
        _insist(called, version, sum(windows))
    await switch()
    await bus.post({**ready, "cache_mode": "cache"})


def _insist(called: Called, version: str, waited: float) -> None:
    """Raise unless every engine is ready."""
    found = [f"{silent} did not answer within {waited:g} s" for silent in called.silent]
    names = {consumer.guid: str(consumer) for consumer in called.present}
    found += [
        f"{names.get(guid, guid)} cannot run it: {answer['problem']}"
        for guid, answer in called.answers.items()
        if answer.get("problem")
    ]
    if found:
        raise ConfigurationError(
            f"version {version} was not activated: {'; '.join(found)}."
            " Stop or fix what is named, and activate again"
        )
