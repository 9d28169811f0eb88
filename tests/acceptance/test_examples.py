"""The examples do what they say, and what they say they do when killed."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_path

import pytest

from tests.waiting import wait_for

Program = Callable[..., subprocess.Popen[str]]

KILLS = (60, 250, 500)  # parsed modules after which the census is killed
IN_FLIGHT_MAX = 16  # four packages at once, four modules of each


def finished(process: subprocess.Popen[str], within: float = 60) -> str:
    out, err = process.communicate(timeout=within)
    assert process.returncode == 0, err
    return out


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def promised(example: Path) -> list[str]:
    """The comment at an example's end: its output."""
    comment = example.read_text("utf-8").rsplit("\n\n#", 1)[1]
    return [line.removeprefix("#").removeprefix(" ") for line in comment.splitlines()]


def test_quickstart(program: Program, examples: Path) -> None:
    """The shortest program prints what its last line says."""
    out = finished(program(examples / "quickstart.py"))
    assert promised(examples / "quickstart.py") == [f"It prints {out.strip()}."]


def test_quickstart_on_an_empty_machine(program: Program, examples: Path) -> None:
    """Without any database it starts one of its own, and says so."""
    process = program(examples / "quickstart.py", DURABLE_DATABASE_URL=None)
    assert finished(process) == "['Hello, Ann!', 'Hello, Bob!']\n"


@pytest.mark.parametrize("example", ["hotmesh_calc.py", "crossing.py", "virtual.py", "lending.py"])
def test_what_an_example_prints(program: Program, examples: Path, example: str) -> None:
    """It prints what the comment at its end says, without any extra beside those of the README."""
    without = "import runpy, sys; sys.modules.update(cronsim=None, jsonschema=None, uvloop=None)"
    run = f"runpy.run_path({str(examples / example)!r}, run_name='__main__')"
    out = finished(program("-c", f"{without}; {run}"))
    assert out.splitlines() == promised(examples / example)


@pytest.mark.parametrize("words", [["census.py"], ["contest.py", "asyncio"]], ids=lambda w: w[0])
def test_an_example_is_stopped_by_ctrl_c(
    program: Program, examples: Path, tmp_path: Path, words: list[str],
) -> None:  # fmt: skip
    """One that invites to stop it says how it goes on, and shows no traceback."""
    log = tmp_path / "log"
    process = program(examples / words[0], *words[1:], "--log", log)
    wait_for(lambda: lines(log), "it is at work", 60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "stopped; start it again, and it goes on from here"
    assert "Traceback" not in err


def test_orders(program: Program, examples: Path, tmp_path: Path) -> None:
    """A flaky gateway is asked until it answers; approval ships, and silence refunds."""
    ledger = tmp_path / "ledger"
    out = finished(program(examples / "orders.py", "--ledger", ledger))
    # Of the facts only these two may change places: the signal comes when it comes.
    expected = promised(examples / "orders.py")
    assert out.splitlines()[:3] == expected[:3]
    said = [line.split(". ")[1] for line in out.splitlines()[3:]]
    assert sorted(said) == sorted(line.split(". ")[1] for line in expected[3:])
    assert said[-3:] == ["timer timer", "activity ship", "finished completed"]
    asked = {f"order-{n} asked": 3 for n in (1, 2, 3)}
    charged = {f"order-{n} charged": 1 for n in (1, 2, 3)}
    ends = {"order-1 shipped": 1, "order-2 shipped": 1, "order-3 refunded 12500": 1}
    assert Counter(lines(ledger)) == asked | charged | ends


def test_orders_killed(program: Program, examples: Path, tmp_path: Path) -> None:
    """Killed once all are paid and started again, the shop charges nobody twice."""
    ledger = tmp_path / "ledger"
    first = program(examples / "orders.py", "--ledger", ledger)
    wait_for(lambda: sum("shipped" in line for line in lines(ledger)) == 2, "two are shipped")
    first.send_signal(signal.SIGKILL)
    first.wait()
    out = finished(program(examples / "orders.py", "--ledger", tmp_path / "unused"))
    assert "order-3: TimeoutError, and the money is back" in out
    counted = Counter(lines(ledger))
    assert counted["order-3 charged"] == 1
    assert counted["order-3 refunded 12500"] == 1


def test_census_killed_again_and_again(program: Program, examples: Path, tmp_path: Path) -> None:
    """The whole standard library: three kills cost no recorded module, and change no figure."""
    log = tmp_path / "log"
    for threshold in KILLS:
        process = program(examples / "census.py", "--log", log)
        wait_for(lambda t=threshold: len(set(lines(log))) >= t, f"{threshold} modules parsed", 90)
        assert process.poll() is None, "it was too fast to be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    out = finished(program(examples / "census.py", "--log", log), within=120)

    parsed = Counter(lines(log))
    sources = [(Path(get_path("stdlib")) / file).read_bytes() for file in parsed]
    assert len(parsed) > max(KILLS)
    assert parsed.total() - len(parsed) <= len(KILLS) * IN_FLIGHT_MAX
    total = re.search(r"^total +(\S+) +(\S+)", out, re.MULTILINE)
    assert total is not None, out
    modules, count = (int(number.replace(",", "")) for number in total.groups())
    assert modules == len(parsed)
    assert count == sum(source.count(b"\n") for source in sources)


def test_census_shows_progress_in_plain_lines(program: Program, examples: Path) -> None:
    """Without a terminal, progress is lines without control characters, and never goes back."""
    process = program(examples / "census.py", "--only", "asyncio", "json", "email")
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert "\x1b" not in err
    assert "\r" not in err
    done = [int(line.split()[0]) for line in err.splitlines() if line[0].isdigit()]
    assert done == sorted(done)
    assert re.search(r"^total +\d+ ", out, re.MULTILINE)


def shape(report: list[str]) -> list[str]:
    """A report without its figures, which differ between Pythons, and without who was best."""
    return [re.sub(r"[\d,]+|zlib|bz2|lzma", "#", re.sub(" +", " ", line)) for line in report]


def test_contest(program: Program, examples: Path) -> None:
    """Two graphs find the best compressor of each module; asked again, they have the answer."""
    out = finished(program(examples / "contest.py"))
    assert shape(out.splitlines()) == shape(promised(examples / "contest.py"))
    assert finished(program(examples / "contest.py")) == out
    unknown = program(examples / "contest.py", "nothing")
    assert unknown.communicate(timeout=150)[1] == "no package 'nothing'\n"
    assert unknown.returncode == 1


def test_contest_killed(program: Program, examples: Path, tmp_path: Path) -> None:
    """Killed in the middle and started again, it goes on where it was, and the report is whole."""
    log = tmp_path / "log"
    first = program(examples / "contest.py", "asyncio", "--log", log)
    wait_for(lambda: len(lines(log)) >= 20, "twenty compressions")
    assert first.poll() is None, "it was too fast to be killed"
    first.send_signal(signal.SIGKILL)
    first.wait()
    out = finished(program(examples / "contest.py", "asyncio", "--log", log))
    done = Counter(lines(log))
    assert done.total() - len(done) <= 3  # as many are at work at the same time
    files = {line.split()[0] for line in done}
    assert len(done) == 3 * len(files)
    assert {line.split()[0] for line in out.splitlines()[:-1]} == files
