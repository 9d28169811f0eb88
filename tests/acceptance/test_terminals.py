"""What others wrote cannot move, colour, reverse or forge anything on a terminal."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
import unicodedata
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

import durable
from durable.authoring.compiler.mermaid import mermaid
from durable.cli.program import program
from durable.descriptor.document import load
from durable.telemetry.logs import logger
from durable.telemetry.terminal import TerminalFormatter, shown, shown_json, shown_lines

GRAPH = """
app:
  id: evil
  version: "1"
  graphs:
    - subscribes: op.test
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: op, retry: {maximumAttempts: 1}}
      transitions:
        t1: [{to: w1}]
"""
PACKAGE = Path(durable.__file__).parent
EVIL = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202eback\u2066\u200f\u200b\u2028\u2029\ufeff\U000e0041"
    "\r\nid  fulfil  default  completed\tx"
)


def obeyed(text: str) -> list[str]:
    """The characters of a text that a terminal, or an eye, would fall for."""
    return [
        c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    ]


def test_what_has_no_shape_is_shown_escaped():
    """Controls, C1, bidi, zero width, tags, halves of characters and line ends become escapes."""
    everything = "".join(map(chr, range(0x20000))) + "".join(map(chr, range(0xE0000, 0xE0100)))
    assert obeyed(shown_lines(everything)) == []
    assert "\n" not in shown("a\nb")
    assert shown("grüße 漢字 🙂 ½ %s {x}") == "grüße 漢字 🙂 ½ %s {x}"
    written = shown_json(json.dumps(everything, ensure_ascii=False))
    assert obeyed(written) == []
    assert json.loads(written) == json.loads(json.dumps(everything))


@pytest.mark.asyncio
async def test_no_command_lets_text_of_others_through(database_url: str):
    """Ids, names, queues, values and failures: tables, errors, hints and JSON show them escaped.

    No start takes such ids, names and queues; whoever may write to the tables can put them there.
    """

    @durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
    async def refuse() -> str:
        raise ValueError(EVIL)

    @durable.workflow
    async def bad(_text: str) -> str:
        durable.set_attributes(**{"k\x1b[31m": EVIL})
        return await refuse()

    run = f"id{EVIL}".replace("\x00", "")
    async with await durable.connect(database_url) as client:
        async with durable.Worker(client, workflows=[bad], activities=[refuse]):
            handle = await client.start(bad(EVIL), id="fails")
            with pytest.raises(durable.WorkflowFailed):
                await handle.result()
        await client.start("name", id="waits", task_queue="q")
    connection = await asyncpg.connect(database_url)
    await connection.execute("update durable.jobs set jid = $1 where jid = 'fails'", run)
    names = f"name{EVIL}", f"q{EVIL}"
    await connection.execute(
        "update durable.jobs set graph = $1, app_id = $2 where jid = 'waits'", *names
    )
    await connection.execute(
        "update durable.worker_streams set workflow_name = $1, stream_name = $2"
        " where jid = 'waits'", *names
    )  # fmt: skip
    await connection.close()

    async def said(*arguments: str) -> str:
        environment = {"DURABLE_DATABASE_URL": database_url}
        done = await asyncio.to_thread(CliRunner().invoke, program, arguments, env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.output

    for arguments in (
        ("list",), ("show", run), ("show", "waits"), ("result", run), ("signal", run, EVIL, '""'),
        ("cancel", run), ("resume", run), ("terminate", "waits", "--reason", EVIL), ("show", EVIL),
    ):  # fmt: skip
        text = await said(*arguments)
        assert obeyed(text) == [], arguments
        lines = [line for line in text.splitlines() if line.startswith("id  fulfil")]
        assert lines == [], "a line that is none of ours"
        assert "\\x1b[2J" in text or arguments[0] == "terminate" or arguments[1:] == ("waits",)
    for arguments in (("list", "--json"), ("show", run, "--json"), ("result", run, "--json")):
        text = await said(*arguments)
        assert obeyed(text) == [], arguments
        assert json.loads(text)
    told = json.loads(await said("list", "--json"))
    assert {found["id"] for found in told["runs"]} == {run, "waits"}


def test_a_log_line_cannot_be_forged():
    """The worker's log: a record is one line at the margin, its traceback stays readable."""
    formatter = TerminalFormatter("%(levelname)s %(name)s: %(message)s")
    with pytest.raises(ValueError, match="int") as info:
        int(EVIL)
    caught = (ValueError, ValueError(EVIL), info.tb)
    record = logging.LogRecord("durable", 40, "x.py", 1, "run %s failed", (EVIL,), caught)
    text = formatter.format(record)
    assert obeyed(text) == []
    assert [line for line in text.split("\n") if not line.startswith("    ")] == [
        text.split("\n", maxsplit=1)[0]
    ]
    assert '\n      File "' in text


@pytest.mark.asyncio
async def test_the_log_of_an_embedded_worker_shows_them_too(client: durable.Client):
    """By whatever handler: ids, names, errors, tracebacks, of functions and of graphs.

    What a handler may filter by, the extras, stays as it is.
    """
    lines, records = io.StringIO(), []
    handler = logging.StreamHandler(lines)
    handler.addFilter(lambda record: records.append(record) or True)

    @durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
    async def refuse() -> None:
        raise ValueError(EVIL)

    @durable.workflow
    async def bad() -> None:
        await refuse()

    async def fails(_message: dict[str, Any]) -> None:
        raise ValueError(EVIL)

    logging.getLogger("durable").addHandler(handler)
    try:
        async with durable.Worker(client, workflows=[bad], activities=[refuse]):
            handle = await client.start(bad(), id="a\u202eb")
            with pytest.raises(durable.WorkflowFailed):
                await handle.result(timeout=60)
        mesh = await durable.HotMesh.init(
            app_id="evil",
            engine={"connection": client},
            workers=[{"topic": "op", "connection": client, "callback": fails}],
        )
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        with pytest.raises(durable.JobFailed):
            await mesh.pubsub("op.test", {}, timeout="60s")
        await mesh.stop()
        try:
            int(EVIL)
        except ValueError:
            logger.exception("%(what)s", {"what": EVIL})
    finally:
        logging.getLogger("durable").removeHandler(handler)
    text = lines.getvalue()
    assert obeyed(text) == []
    assert text.count("\\x1b[2J") >= 6
    assert not [line for line in text.splitlines() if line.startswith("id  fulfil")]
    assert "a\u202eb" in {getattr(record, "workflow_id", None) for record in records}


def test_drawings_and_documents_show_them_too():
    """Mermaid labels, and YAML, of a descriptor with such names."""
    name = json.dumps("t\u202e\x9bx")
    graph = f"{{subscribes: {name}, activities: {{t1: {{type: trigger, title: {name}}}}}}}"
    source = f"app: {{id: a, version: '1', graphs: [{graph}]}}"
    app = load(source)
    assert obeyed(mermaid(app)) == []
    assert "\\u202e" in mermaid(app)


def test_nothing_prints_around_it():
    """In the package only the command's output prints; the watcher writes a log of its own."""
    writers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and node.attr in {"stdout", "stderr", "echo", "secho"}
            and isinstance(node.value, ast.Name) and node.value.id in {"sys", "typer", "click"})
    }  # fmt: skip
    assert writers <= {"cli/output.py", "postgres/embedded/watcher.py"}
