"""`durable deploy` where something is wrong: suspended runs, command lines, documents."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

import durable
from tests.waiting import wait_for

Program = Callable[..., subprocess.Popen[str]]
Cli = Callable[..., subprocess.CompletedProcess[str]]

SHOP = """
import durable

@durable.activity
async def charge(order: str) -> str:
    return order

@durable.workflow
async def sell(order: str) -> str:
    return await charge(order)
"""


@pytest.fixture
def shop(program: Program, tmp_path: Path) -> Iterator[Path]:
    """A user's module, which a worker serves on a queue of its own."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP, encoding="utf-8")
    worker = program("-m", "durable", "worker", path, "--queue", "shop")
    assert worker.stdout
    assert worker.stdout.readline().startswith("serving queue")
    yield path
    worker.terminate()
    worker.wait()


def printed(cli: Cli) -> str:
    """The document in force."""
    done = cli("deploy", "--document", "--queue", "shop")
    assert done.returncode == 0, done
    return done.stdout


def deployed(cli: Cli, shop: Path, document: str) -> subprocess.CompletedProcess[str]:
    """What deploying a document answers."""
    path = shop.with_name("shop.yaml")
    path.write_text(document, encoding="utf-8")
    return cli("deploy", path)


def refused(done: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    """It ended with this code, and a message that has these words; no traceback."""
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_suspended_run_names_the_commands_that_let_it_go_on(cli: Cli, shop: Path) -> None:
    """`show` and `result` say that it is suspended; what they tell to type resumes it."""
    without = re.sub(r"transitions:\n +- \{to: charge,.*", "transitions: []", printed(cli))
    assert deployed(cli, shop, without).returncode == 0
    cli("start", f"{shop}:sell", "--args", '["lamp"]', "--queue", "shop", "--id", "a")
    wait_for(lambda: "sell  suspended" in cli("show", "a").stdout, "it is suspended")
    text = cli("show", "a").stdout
    assert "nothing is recorded: it was suspended at its first step" in text
    assert "nothing yet" not in text
    back = "durable deploy --reset --open-runs --queue shop"
    assert re.search(rf"^Next: .* or {back}; then: durable resume a$", text, re.MULTILINE)
    assert f"`{back}`" in " ".join(text.split())
    waited = cli("result", "a", "--timeout", "0.1s")
    refused(waited, "it is suspended", "`durable show a` tells why")
    assert "goes on" not in waited.stderr
    assert cli(*back.split()[1:]).returncode == 0
    assert cli("resume", "a").returncode == 0
    assert cli("result", "a").stdout == '"lamp"\n'


def test_a_reset_says_whose_changes_it_takes_back(cli: Cli) -> None:
    """Without a queue it is a usage error, as are other options that do not go together."""
    cli("migrate")
    refused(cli("deploy", "--reset"), "--reset needs --queue", code=2)
    refused(cli("deploy", "--reset", "--build", "a", "--queue", "q"), "--build goes", code=2)
    refused(cli("deploy", "--show", "--path", "a"), "--path goes with --reset", code=2)
    refused(cli("deploy"), "give the FILE", code=2)


def test_people_see_the_first_of_many_findings(cli: Cli, shop: Path) -> None:
    """A script gets them all; a line says how many are left out."""
    unknown = "".join(f"      a{n}: {{type: worker, topic: a{n}}}\n" for n in range(1_100))
    document = printed(cli).replace("    activities:\n", f"    activities:\n{unknown}", 1)
    done = deployed(cli, shop, document)
    refused(done, "… and 1,080 more; --json has them all", "no function is registered as 'a0'")
    assert len(done.stderr.splitlines()) == 21
    whole = json.loads(cli("deploy", shop.with_name("shop.yaml"), "--json").stderr)["error"]
    assert len(whole["message"].splitlines()) == 1_100


def test_what_was_asked_for_is_named_where_it_is_unknown(cli: Cli, shop: Path) -> None:
    """Without a document none of its fields is named; nothing is stored of the task queue."""
    for options in (("--show",), ("--document",), ("--reset",), ("--reset", "--open-runs")):
        done = cli("deploy", *options, "--queue", "nowhere")
        refused(done, "no worker has generated a descriptor for the task queue 'nowhere'")
        assert "app." not in done.stderr
        assert "Edit" not in done.stderr
    done = cli("deploy", "--document", "--build", "nope", "--queue", "shop")
    refused(done, "'nope' is no version that functions generated for the task queue 'shop'")
    assert "app." not in done.stderr
    wrong = re.sub("version: .*", "version: nope", printed(cli), count=1)
    refused(deployed(cli, shop, wrong), "app.version: 'nope' is no version", "Edit what")


async def test_a_reset_of_an_unknown_queue_stores_nothing(
    client: durable.Client, direct: asyncpg.Connection
) -> None:
    """It is refused before its row is there to be locked."""
    with pytest.raises(durable.ConfigurationError, match="no worker has generated"):
        await client.reset_deployment("nowhere")
    assert await direct.fetchval("select count(*) from apps where app_id = 'nowhere'") == 0
