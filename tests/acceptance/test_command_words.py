"""What the command is told and tells: half a target, ids with blanks, and terminals of old."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import durable

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

SHOP = """
import durable

@durable.workflow
async def sell(item: str) -> str:
    return item
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A module with a workflow."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP, "utf-8")
    return path


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("target", ["shop.py", "shop.py:"])
def test_a_file_is_no_workflow(cli: Cli, target: str) -> None:
    """A start that forgets the workflow behind the file starts nothing, and says what there is."""
    done = cli("start", target, "--args", '["lamp"]')
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {target} names no workflow: write shop.py:WORKFLOW; there is sell\n"
    )
    assert json.loads(cli("list", "--json").stdout)["total"] == 0


def test_what_to_do_next_can_be_pasted(cli: Cli, shop: Path) -> None:
    """Commands that the command proposes name an id with blanks and quotes as a shell reads it."""
    run = "ann's lamp; 2"
    began = cli("start", f"{shop}:sell", "--args", '["lamp"]', "--id", run)
    late = cli("result", run, "--timeout", "1ms")
    asked = cli("cancel", run)
    (next_one,) = [line for line in began.stdout.splitlines() if line.startswith("next: ")]
    assert shlex.split(next_one) == ["next:", "durable", "result", run]
    assert f"`durable show {shlex.quote(run)}`" in late.stderr
    assert f"durable terminate {shlex.quote(run)} if it will not" in asked.stdout


async def test_a_terminal_of_few_characters_gets_escapes(cli: Cli, database_url: str) -> None:
    """Where the locale knows ASCII only, what it lacks is escaped; JSON stays JSON."""
    async with await durable.connect(database_url) as client:
        await client.start("sell", "grüße", id="漢字-ö")
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for words in (["list"], ["show", "漢字-ö"]):
        done = cli(*words, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert "\\u6f22\\u5b57-\\xf6" in done.stdout
        found = cli(*words, "--json", **environment)
        assert json.loads(found.stdout) == json.loads(cli(*words, "--json").stdout)
