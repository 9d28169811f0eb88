"""`durable dev` watches the user's own Python files, as the operating system tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from durable.cli import file_changes
from durable.cli.file_changes import changes

SECONDS = 30


async def begun(files: AsyncIterator[Path]) -> asyncio.Future[Path | None]:
    """The next change, asked for; files that are written from now on may be it."""
    coming = asyncio.ensure_future(anext(files, None))
    await asyncio.sleep(0)
    return coming


async def first_seen(files: AsyncIterator[Path], path: Path) -> Path | None:
    """What is seen while `path` is written again and again: the watch begins at some time."""
    coming, number = await begun(files), 0
    async with asyncio.timeout(SECONDS):
        while not coming.done():
            path.write_text(f"x = {number}\n", encoding="utf-8")  # noqa: ASYNC240 - a few bytes
            number += 1
            await asyncio.wait({coming}, timeout=0.2)
    return coming.result()


@pytest.mark.parametrize("polls", [0, 1], ids=["told", "polled"])
async def test_own_python_files_are_seen_and_others_are_not(
    tmp_path: Path, polls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file below the root counts; of tools, packages and other kinds none does."""
    if polls:
        told = file_changes.awatch

        def refusing(*roots: Path, force_polling: bool, **more: object) -> object:
            if not force_polling:
                raise OSError("OS file watch limit reached.")
            return told(*roots, force_polling=True, poll_delay_ms=20, **more)

        monkeypatch.setattr(file_changes, "awatch", refusing)
    venv = tmp_path / "env"
    others = [tmp_path / ".tool", tmp_path / "node_modules" / "a", venv / "lib"]
    for directory in (*others, tmp_path / "shop"):
        directory.mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    stop, notes = asyncio.Event(), []
    async with aclosing(changes({tmp_path}, stop, notes.append)) as files:
        assert await first_seen(files, tmp_path / "shop" / "a.py") == tmp_path / "shop" / "a.py"
        for directory in others:
            (directory / "b.py").touch()
        (tmp_path / "shop" / "data.json").touch()
        assert await first_seen(files, tmp_path / "c.py") in {
            tmp_path / "c.py",
            tmp_path / "shop" / "a.py",
        }
        stop.set()
        async with asyncio.timeout(SECONDS):
            while await anext(files, None) is not None:
                pass
    assert len(notes) == polls
