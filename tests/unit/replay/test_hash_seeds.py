"""The same commands in every process, whatever hashes and addresses it deals out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.replay.programs import told

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("seed", "malloc"), [("1", "malloc"), ("4242", "pymalloc")])
def test_commands_do_not_depend_on_hash_seeds_or_addresses(seed: str, malloc: str) -> None:
    """Another interpreter, with other string hashes and another allocator, issues the same."""
    told_there = subprocess.run(
        [sys.executable, "-m", "tests.unit.replay.programs"],
        env={"PYTHONHASHSEED": seed, "PYTHONMALLOC": malloc},
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert json.loads(told_there.stdout) == told()
