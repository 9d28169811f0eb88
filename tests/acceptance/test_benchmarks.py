"""The benchmarks run, and what they write is right: figures nobody can repeat are worth nothing."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from benchmarks.table import FIGURES, picture, table, times
from benchmarks.workloads import WORKLOADS
from tests.waiting import eventually

LINES = [
    {"system": "Peer", "w": "W1", "p50_ms": 8.0},
    {"system": "Peer", "w": "W2", "wf_per_s": 100.0},
    {"system": "durable", "w": "W1", "p50_ms": 2.0},
    {"system": "durable", "w": "W1", "p50_ms": 4.0},
    {"system": "durable", "w": "W1", "p50_ms": 9.0},
    {"system": "durable", "w": "W2", "wf_per_s": 1234.5},
    {"system": "durable", "w": "W3", "error": "not done in 180 s"},
]


def test_every_workload_runs(
    program: Callable[..., subprocess.Popen[str]], database_url: str
) -> None:
    """One small run of each prints a line with the figure by which systems are compared."""
    done = program(
        "-m", "benchmarks.run", *WORKLOADS, "--runs", "1", "--scale", "0.05", "--dsn", database_url
    )
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    lines = {x["w"]: x for x in map(json.loads, filter(lambda x: x[0] == "{", out.splitlines()))}
    assert list(lines) == list(WORKLOADS)
    for figure in FIGURES:
        assert lines[figure.workload][figure.key] > 0
    assert lines["W5"]["bare_commit_p50_ms"] > 0


@pytest.mark.parametrize(
    "question",
    [
        "scaling --workers 1 2 --clients --only W2 --runs 1 --scale 0.05",
        "idle 1 --seconds 1",
        "backlog --waiting 100 --finished 100 --rounds 1 --scale 0.05 --only W2",
        "full_cache --waiting 100 --held 20 --runs 5 --rounds 1",
        "payloads 100 --seconds 0.3",
        "replay 10 --runs 1",
        "pickup --count 10 --load 2",
        "retention --finished 1000 --runs 20",
        "graphs G1 --runs 1 --scale 0.05",
        "costs W1 --scale 0.05",
    ],
)
def test_every_question_is_answered(
    program: Callable[..., subprocess.Popen[str]], database_url: str, question: str
) -> None:
    """Asked small, each script prints its lines."""
    name, *arguments = question.split()
    done = program("-m", f"benchmarks.{name}", *arguments, "--dsn", database_url)
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert [json.loads(line) for line in out.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_nothing_is_left_behind(
    program: Callable[..., subprocess.Popen[str]], database_url: str, how: signal.Signals
) -> None:
    """However a benchmark ends, so do the processes that it started."""
    arguments = "--workers", "--clients", "2", "--dsn", database_url
    process = psutil.Process(program("-m", "benchmarks.scaling", *arguments).pid)

    async def children() -> list[psutil.Process]:
        return found if len(found := process.children()) == 3 else []  # a worker, two clients

    started = await eventually(children)
    process.send_signal(how)
    assert psutil.wait_procs([process, *started], timeout=60)[1] == []


def test_tables_have_medians_and_spreads() -> None:
    """Ours comes first; a cell says the median, the least and the most; what failed is a dash."""
    rows = table(LINES).splitlines()
    assert rows[0] == "| | | durable | Peer |"
    assert rows[2].endswith("| 4 (2 to 9) | 8 (8 to 8) |")
    assert rows[3].endswith("| 1,234 (1,234 to 1,234) | 100 (100 to 100) |")
    assert len(rows) == 4
    assert times(LINES, FIGURES[0], "Peer") == 2.0  # less is better here
    assert times(LINES, FIGURES[1], "Peer") == 12.345
    assert times(LINES, FIGURES[2], "Peer") is None


def test_the_picture_has_a_bar_for_each_median(tmp_path: Path) -> None:
    """It is an SVG; the better system's bar is as wide as its figure says."""
    file = tmp_path / "picture.svg"
    file.write_text(picture(LINES), encoding="utf-8")
    root = ET.parse(file).getroot()  # noqa: S314 - our own
    bars = [
        float(x.attrib["width"])
        for x in root.findall(".//{*}rect")
        if x.attrib.get("height") == "11"
    ]
    assert len(bars) == 4
    assert bars[0] * 2 == bars[1]  # W1: 4 and 8 ms
    assert abs(bars[2] - bars[3] * 12.345) < 1  # W2
