"""Sets the peers up, each in an environment of its own below one directory; safe to run again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

COMMON = ("asyncpg>=0.30", "psutil>=6.1")
PACKAGES = {
    "dbos": ("dbos==3.4.0", "psycopg[binary]"),
    "absurd": ("absurd-sdk==0.5.1", "absurdctl==0.5.1", "psycopg[binary]"),
    "restate": ("restate-sdk==1.3.0", "hypercorn>=0.18", "aiohttp>=3.11"),
}
RESTATE_SERVER = "@restatedev/restate-server"


def python(home: Path, system: str) -> Path:
    """The interpreter with which a system is run; it is made ready first."""
    if system not in PACKAGES:
        return Path(sys.executable)
    place = home / system
    interpreter = place / "venv" / "bin" / "python"
    ready = place / "venv" / ".ready"
    wanted = "\n".join((*COMMON, *PACKAGES[system]))
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        print(f"# installing {system} …", flush=True)
        venv.create(place / "venv", with_pip=True)
        subprocess.run(
            [interpreter, "-m", "pip", "install", "-q", *COMMON, *PACKAGES[system]], check=True
        )
        ready.write_text(wanted, encoding="utf-8")
    if system == "restate" and not (place / "server" / "node_modules").exists():
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("Restate's server comes by npm: install Node, or leave it out with --systems")
        (place / "server").mkdir(exist_ok=True)
        subprocess.run([npm, "init", "-y"], cwd=place / "server", check=True, capture_output=True)
        subprocess.run([npm, "install", "-s", RESTATE_SERVER], cwd=place / "server", check=True)
    return interpreter
