"""The command line in processes of their own that are forks of one which has imported it.

A command needs a tenth of a second, and its imports seven. They are the same in each process; that
a fresh one has what it needs is shown by the tests that start workers, and by `test_loading`.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import durable
from durable.__main__ import main

SECONDS_MAX = 150

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *(m.name for m in pkgutil.walk_packages(durable.__path__, "durable.")),
        "pytest",  # a fork imports anew what its parent was started with
        "tests.acceptance.forked",
    ]
)


def _run(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], written: Path
) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(directory))
    sys.argv = ["durable", *arguments]
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(written / name, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    main()


def run_command(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `durable …` to its end, in a directory, with these variables and no others."""
    with tempfile.TemporaryDirectory() as written:
        process = _FORKS.Process(
            target=_run, args=(arguments, directory, environment, Path(written))
        )
        process.start()
        process.join(SECONDS_MAX)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["durable", *arguments], SECONDS_MAX)
        out, err = [(Path(written) / name).read_text("utf-8") for name in ("out", "err")]
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)
