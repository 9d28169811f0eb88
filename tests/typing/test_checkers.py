"""The type surface under both checkers: what users rely on holds, what they get wrong is found."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = [str(HERE / "api.py"), str(HERE / "refused.py")]


def check(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_strict_agrees():
    """Under --strict mypy infers the promised types and finds each planted mistake."""
    check("mypy", "--strict", "--follow-imports=silent", *FILES)


def test_pyright_agrees():
    """Pyright infers the promised types and finds each planted mistake."""
    check("pyright", "--pythonpath", sys.executable, *FILES)
