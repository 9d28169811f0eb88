"""The `durable` command, run as users run it: against a real database, with real processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from durable.descriptor.document import load
from tests.waiting import wait_for

Program = Callable[..., subprocess.Popen[str]]
Cli = Callable[..., subprocess.CompletedProcess[str]]

SHOP = """
import pathlib
from dataclasses import dataclass

import durable

@dataclass
class Order:
    id: str
    cents: int

approval = durable.Signal("approval", str)

@durable.activity(retry=durable.RetryPolicy(maximum_attempts=3, initial_interval=3600))
async def charge(order: Order) -> int:
    if order.cents < 0:
        raise ValueError("nobody pays less than nothing")
    return order.cents

@durable.activity(task_queue="print")
def label(order: Order) -> str:
    return f"to {order.id}"

@durable.workflow
async def fulfil(order: Order, copies: int = 1) -> str:
    paid = await charge(order)
    labels = [await label(order) for _ in range(copies)]
    approved = await approval.receive()
    durable.set_attributes(customer=approved, copies=copies)
    durable.entity().set({"labels": labels})
    return f"{paid} {labels} {approved}"

@durable.workflow
async def hear() -> str:
    return await approval.receive()

@durable.activity
def slow(going: str, go: str) -> str:
    pathlib.Path(going).touch()
    while not pathlib.Path(go).exists():
        pass
    return "done"

@durable.workflow
async def patient(going: str, go: str) -> str:
    return await slow(going, go)
"""

LOOP = """
import asyncio

import durable

@durable.activity
async def where() -> str:
    return type(asyncio.get_running_loop()).__module__

@durable.workflow
async def loop() -> str:
    return await where()
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A user's module."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP, encoding="utf-8")
    return path


def serving(program: Program, *options: str, queues: int = 1) -> subprocess.Popen[str]:
    """A worker that has said of each queue that it is served."""
    process = program("-m", "durable", "worker", *options)
    for _ in range(queues):
        line = process.stdout.readline()
        assert line.startswith("serving queue"), process.communicate()
    return process


def until(stream: TextIO, beginning: str) -> list[str]:
    """The lines of a program up to the first that begins so."""
    read: list[str] = []
    for line in stream:
        read.append(line)
        if line.startswith(beginning):
            return read
    pytest.fail(f"no line begins with {beginning!r}: {read}")


def refused(done: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    """It ended with this code, and one message that has these words; no traceback."""
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_the_life_of_a_run(cli: Cli, program: Program, shop: Path) -> None:
    """Start, show, signal, result, list: each says what happened and what comes next."""
    serving(program, str(shop), queues=2)
    started = cli("start", "shop.py:fulfil", "--args", '[{"id": "o", "cents": 7}, 2]', "--id", "a")
    assert started.stdout == "started a\nnext: durable result a\n"
    assert "serving" not in started.stderr
    assert cli("signal", "a", "approval", '"ann"').returncode == 0
    assert json.loads(cli("result", "a").stdout) == "7 ['to o', 'to o'] ann"
    text = cli("show", "a").stdout
    assert re.search(r"^a  fulfil  completed$", text, re.MULTILINE)
    assert re.search(r"activity +#1 charge +→ 7$", text, re.MULTILINE)
    assert re.search(r'activity +#2 label +→ "to o"$', text, re.MULTILINE)
    assert re.search(r'^  customer = "ann"$', text, re.MULTILINE)
    assert re.search(r'^  \.labels \["to o", "to o"\]$', text, re.MULTILINE)
    for where, found in (("customer=ann", 1), ("copies=2", 1), ('copies="2"', 0)):
        listed = json.loads(cli("list", "--where", where, "--json").stdout)
        assert listed["total"] == len(listed["runs"]) == found
    assert "--where takes NAME=VALUE" in cli("list", "--where", "customer").stderr
    listed = cli("list").stdout.splitlines()
    assert listed[0].split() == ["ID", "WORKFLOW", "QUEUE", "STATE", "STARTED", "TOOK"]
    assert listed[1].split()[:4] == ["a", "fulfil", "default", "completed"]


def test_json_everywhere(cli: Cli, program: Program, shop: Path) -> None:
    """With --json every answer is a document, and so is an error."""
    serving(program, str(shop), queues=2)
    by_name = '{"order": {"id": "o", "cents": 7}}'
    started = json.loads(
        cli("start", "shop:fulfil", "--args", by_name, "--id", "a", "--json").stdout
    )
    assert started["id"] == "a"
    assert isinstance(started["run_id"], int)
    assert json.loads(cli("signal", "a", "approval", '"ann"', "--json").stdout)["id"] == "a"
    assert json.loads(cli("result", "a", "--json").stdout) == "7 ['to o'] ann"
    shown = json.loads(cli("show", "a", "--json").stdout)
    assert shown["run"]["state"] == "completed"
    assert shown["history"][0]["kind"] == "started"
    assert shown["history"][-1]["data"] == "7 ['to o'] ann"
    listed = json.loads(cli("list", "--state", "completed", "--json").stdout)
    assert listed["total"] == 1
    assert listed["runs"][0]["workflow"] == "fulfil"
    error = json.loads(cli("show", "b", "--json").stderr)["error"]
    assert error["type"] == "WorkflowNotFound"
    assert "durable list" in error["hint"]


def test_what_a_failing_run_tells(cli: Cli, program: Program, shop: Path) -> None:
    """An open step shows its attempts, when it is tried next, and what went wrong."""
    serving(program, str(shop), queues=2)
    cli("start", "fulfil", "--args", '[{"id": "o", "cents": -1}]', "--id", "a")
    wait_for(lambda: "Failed attempts" in cli("show", "a").stdout, "a failed attempt")
    text = cli("show", "a").stdout
    assert re.search(r"#1 activity charge attempt 2 of 3, next try .* \(in (1 min )?\d+ s\)", text)
    assert "#1 charge, attempt 1 of 3: ValueError: nobody pays less than nothing" in text
    refused(cli("result", "a", "--timeout", "0.1s"), "durable show a")
    asked = cli("cancel", "a", "--reason", "changed my mind")
    assert "durable terminate a" in asked.stdout
    refused(cli("result", "a"), "was cancelled", "durable show a")
    refused(cli("cancel", "a"), "has ended already: cancelled")


def test_a_run_without_a_worker(cli: Cli, shop: Path) -> None:
    """A start needs no worker; `show` says that none has come, and terminate ends it too."""
    cli("start", f"{shop}:fulfil", "--args", '[{"id": "o", "cents": 1}]', "--id", "a")
    text = cli("show", "a").stdout
    assert "nothing yet: no worker has taken it" in text
    assert "durable worker MODULE --queue default" in text
    assert cli("terminate", "a", "--reason", "no use").stdout == "terminated a\n"
    refused(cli("result", "a"), "terminated", "no use")


def test_a_run_that_awaits_a_signal_first(cli: Cli, program: Program, shop: Path) -> None:
    """Nothing of it is recorded, but `show` does not say that no worker has come."""
    worker = serving(program, str(shop), queues=2)
    cli("start", "shop:hear", "--id", "h")
    wait_for(lambda: "a worker has it" in cli("show", "h").stdout, "a worker holds it")
    assert "durable worker MODULE" not in cli("show", "h").stdout
    worker.terminate()
    worker.wait()


def test_json_that_is_nested_too_deep_is_a_usage_error(cli: Cli, shop: Path) -> None:
    """As any other text that is no JSON; no traceback."""
    asked = cli("start", f"{shop}:hear", "--args", "[" * 3000)
    assert asked.returncode == 2
    assert "is no JSON" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_an_id_is_taken_once(cli: Cli, shop: Path) -> None:
    """A second start of an open id is refused with both ways on; --attach takes the open run."""
    start = ("start", f"{shop}:fulfil", "--args", '[{"id": "o", "cents": 1}]', "--id", "a")
    first = json.loads(cli(*start, "--json").stdout)
    refused(cli(*start), "--attach")
    assert json.loads(cli(*start, "--attach", "--json").stdout) == first


def test_a_changed_workflow_is_suspended_and_resumed(
    cli: Cli, program: Program, shop: Path
) -> None:
    """Code that does not fit a history: `show` names step and line; the old code goes on."""
    worker = serving(program, str(shop), queues=2)
    cli("start", "shop:fulfil", "--args", '[{"id": "o", "cents": 1}]', "--id", "a")
    wait_for(lambda: "waits for a signal" in cli("show", "a").stdout, "it waits for a signal")
    worker.terminate()
    worker.wait()
    wrong = SHOP.replace("paid = await charge(order)", "paid = await slow('x', 'y')")
    shop.write_text(wrong, encoding="utf-8")
    worker = serving(program, str(shop), queues=2)
    cli("signal", "a", "approval", '"ann"')
    wait_for(lambda: "suspended" in cli("show", "a").stdout, "it is suspended")
    text = cli("show", "a").stdout
    line = wrong.splitlines().index("    paid = await slow('x', 'y')") + 1
    assert f"shop.py:{line}" in text
    assert "NonDeterminismError" in text
    assert "durable resume a" in text
    worker.terminate()
    worker.wait()
    shop.write_text(SHOP, encoding="utf-8")
    serving(program, str(shop), queues=2)
    wait_for(lambda: "completed" in cli("show", "a").stdout.splitlines()[0], "it is completed")
    refused(cli("resume", "a"), "is completed, not suspended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_stops_gracefully(
    cli: Cli, program: Program, shop: Path, number: signal.Signals
) -> None:
    """Told to stop, it lets the running activity finish, records it, and ends with code 0."""
    worker = serving(program, str(shop), queues=2)
    going, go = shop.with_name("going"), shop.with_name("go")
    cli("start", "shop:patient", "--args", json.dumps([str(going), str(go)]), "--id", "a")
    wait_for(going.exists, "the activity runs")
    worker.send_signal(number)
    until(worker.stderr, "stopping")
    go.touch()
    _, err = worker.communicate(timeout=100)
    assert worker.returncode == 0, err
    text = cli("show", "a").stdout
    assert re.search(r'#1 slow +→ "done"', text), text


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_worker_runs_on_uvloop(cli: Cli, program: Program, shop: Path, processes: str) -> None:
    """`--loop uvloop`: the whole way, from a start to a graceful stop."""
    shop.write_text(LOOP, encoding="utf-8")
    worker = serving(program, str(shop), "--loop", "uvloop", "--processes", processes)
    cli("start", "shop:loop", "--id", "a")
    assert cli("result", "a").stdout == '"uvloop"\n'
    worker.terminate()
    _, err = worker.communicate(timeout=100)
    assert worker.returncode == 0, err


def test_uvloop_is_an_extra(cli: Cli, shop: Path) -> None:
    """Asked for and not installed, the message names what to install."""
    shop.with_name("uvloop.py").write_text("raise ModuleNotFoundError(name='uvloop')\n", "utf-8")
    refused(cli("worker", "shop.py", "--loop", "uvloop"), "durable-postgres[uvloop]")


def test_dev_reloads(cli: Cli, program: Program, shop: Path, database_url: str) -> None:
    """`dev` prints where the database is, serves, and serves the new code once a file changed."""
    process = program("-m", "durable", "dev", "shop.py")
    told = [process.stdout.readline() for _ in range(6)]
    assert told[0].split() == ["database", database_url]
    assert "durable start shop.py:WORKFLOW" in told[1]
    assert told[4].startswith("serving queue default")
    shop.write_text(SHOP + "\nbroken", encoding="utf-8")
    err = until(process.stderr, "the worker ended; fix the code")
    assert f"{shop} changed: reloading; open runs go on\n" in err
    assert any("NameError" in line and f"{shop}:{SHOP.count(chr(10)) + 2}" in line for line in err)
    shop.write_text(SHOP.replace("{paid} ", "paid "), encoding="utf-8")
    assert process.stdout.readline().startswith("serving queue default")
    cli("start", "shop:fulfil", "--args", '[{"id": "o", "cents": 1}, 0]', "--id", "a")
    cli("signal", "a", "approval", '"ann"')
    assert json.loads(cli("result", "a").stdout) == "paid [] ann"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 0


@pytest.mark.usefixtures("shop")
def test_the_worker_of_a_killed_dev_stops(program: Program) -> None:
    """When `dev` itself is killed, its worker does not go on alone."""
    process = program("-m", "durable", "dev", "shop.py")
    until(process.stdout, "serving queue print")
    process.kill()
    _, err = process.communicate(timeout=100)  # the worker holds the pipes until it ends
    assert err.endswith("stopped\n")


@pytest.mark.usefixtures("shop")
def test_yaml_and_graph(cli: Cli, examples: Path, tmp_path: Path) -> None:
    """A path is enough: the descriptor is printed, read back the same, and drawn."""
    printed = cli("yaml", examples / "orders.py").stdout
    app = load(printed)
    assert app.id == "default"
    assert [graph.subscribes for graph in app.graphs] == ["fulfil"]
    assert load(cli("yaml", examples / "orders.py", "--queue", "q").stdout).id == "q"
    file = tmp_path / "app.yaml"
    file.write_text(printed, encoding="utf-8")
    assert cli("yaml", file).stdout == printed
    assert cli("graph", file).stdout.splitlines()[1] == "flowchart LR"
    assert json.loads(cli("yaml", "shop", "--json").stdout)[0]["app"]["id"] == "default"


def test_activities_alone_are_printed_and_drawn(cli: Cli, tmp_path: Path) -> None:
    """A queue of activities has an app without graphs, whose shared part has them."""
    source = tmp_path / "steps.py"
    source.write_text("import durable\n@durable.activity\nasync def charge(): ...\n", "utf-8")
    app = load(cli("yaml", source).stdout)
    assert app.shared is not None
    assert (list(app.shared.activities), app.graphs) == (["charge"], ())
    assert '  subgraph shared["shared"]' in cli("graph", source).stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("yaml", "nothing.py"), ("there is no file nothing.py",), 1),
        (("yaml", "nothing"), ("there is no module 'nothing'", "./orders.py"), 1),
        (("yaml", "json"), ("no @durable.workflow", "json"), 1),
        (("yaml", "bad.py"), ("bad.py cannot be imported: ZeroDivisionError", "bad.py:2"), 1),
        (("yaml", "worse.py"), ("worse.py cannot be imported: SyntaxError", "worse.py:1"), 1),
        (("start", "shop:nope"), ("no workflow 'nope'", "fulfil, hear, patient"), 1),
        (("start", "shop:fulfil", "--args", "[1, 2, 3]"), ("takes 2 arguments, and 3",), 1),
        (("start", "shop:fulfil", "--args", '[{"id": 1, "cents": 1}]'), ("order.id",), 1),
        (("start", "shop:fulfil"), ("order",), 1),
        (("start", "shop:fulfil", "--args", "x"), ("no JSON",), 2),
        (("result",), ("ID",), 2),
        (("nonsense",), ("nonsense",), 2),
        (("worker", "shop.py", "--grace", "soon"), ("'soon' is no duration",), 1),
        (("worker", "shop.py", "--grace", "30"), ("'30' lacks a unit: write 30s, 30m,",), 1),
        (("prune", "--older-than", "30"), ("'30' lacks a unit: write 30s", "or 30d"), 1),
        (("prune", "--older-than", "1h 30"), ("'1h 30' lacks a unit: write 30s",), 1),
        (("result", "nothing", "--timeout", "2.5"), ("'2.5' lacks a unit: write 2.5s",), 1),
        (("worker", "shop.py", "--loop", "trio"), ("trio", "uvloop"), 2),
        (("worker", "shop.py", "--queue", ""), ("task_queue=''", "not empty"), 1),
        (("worker", "shop.py", "--processes", "2", "--queue", ""), ("task_queue=''",), 1),
        (("yaml", "shop.py", "--queue", ""), ("task_queue=''",), 1),
        (("list", "--dsn", "postgresql://localhost:1/x"), ("--dsn",), 1),
        (("list", "--namespace", 'a"b'), ('a"b',), 1),
    ],
)
def test_errors_say_what_to_do(
    cli: Cli, shop: Path, arguments: tuple[str, ...], words: tuple[str, ...], code: int
) -> None:
    """What can go wrong is one message: 1 for what failed, 2 for a wrong command line."""
    shop.with_name("bad.py").write_text("import durable\n1 / 0\n", encoding="utf-8")
    shop.with_name("worse.py").write_text("def (\n", encoding="utf-8")
    refused(cli(*arguments), *words, code=code)


def test_migrate_and_namespace(cli: Cli) -> None:
    """`migrate` makes the schema that DURABLE_NAMESPACE names; runs of others are not seen."""
    done = cli("migrate", DURABLE_NAMESPACE="elsewhere")
    assert done.stdout == "the schema 'elsewhere' is up to date\n"
    cli("start", "fulfil", "--id", "a", DURABLE_NAMESPACE="elsewhere")
    assert cli("list").stdout == "no runs\n"
    assert "a " in cli("list", "--namespace", "elsewhere").stdout


def test_without_typer(program: Program) -> None:
    """Where the extra is not installed, one line says what to install."""
    code = "import sys; sys.modules['typer'] = None; import durable.__main__ as m; m.main()"
    process = program("-c", code)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err == 'durable: the command needs typer: pip install "durable-postgres[cli]"\n'


def test_help_loads_the_command_alone() -> None:
    """Neither driver nor models of durable are loaded to print what commands there are."""
    code = (
        "import sys\n"
        "from durable.cli.program import program\n"
        "program(['--help'], standalone_mode=False)\n"
        "rooms = {m.split('.')[1] for m in sys.modules if m.startswith('durable.')}\n"
        "print(*sorted(rooms), *({'asyncpg', 'yaml', 'opentelemetry'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    words = "cli errors postgres protocol runtime telemetry"
    assert done.stdout.splitlines()[-1] == words
    assert "worker" in done.stdout
