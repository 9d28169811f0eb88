"""Plain asyncio inside a run: each feature live, and folded again from its history."""

from __future__ import annotations

import gc

import pytest

from tests.unit.replay.driving import brief, live, replay
from tests.unit.replay.programs import CASES


@pytest.mark.parametrize("name", CASES)
def test_a_program_does_what_asyncio_says(name: str) -> None:
    """A program returns what it returns under asyncio, and issues its steps in order."""
    each = CASES[name]
    story = live(each.program, script=each.script)
    assert story.result == each.result
    if each.commands is not None:
        assert [brief(c) for c in story.commands] == list(each.commands)


@pytest.mark.parametrize("name", CASES)
def test_a_program_is_folded_to_the_same_commands(name: str) -> None:
    """The history alone, fed to a new run, gives the same commands after each fact."""
    each = CASES[name]
    first = live(each.program, script=each.script)
    second = replay(each.program, first.facts)
    assert second.turns == first.turns
    assert second.finish == first.finish


@pytest.mark.parametrize("name", CASES)
def test_a_program_is_evicted_at_any_fact_without_a_trace(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After any number of facts a run can be taken down: no command, no warning, no log."""
    each = CASES[name]
    facts = live(each.program, script=each.script).facts
    for length in range(1, len(facts)):
        run = replay(each.program, facts[:length]).run
        assert run is not None
        run.evict()
        assert not run.open
    gc.collect()
    assert caplog.records == []
