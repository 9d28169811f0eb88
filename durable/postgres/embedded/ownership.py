"""Which uid runs Postgres, and whose the files below the home directory are.

An ordinary user runs it as himself. Root may not, so another uid is chosen: the owner of the data,
else the owner of the project (who can then go on without root), else a number that nobody has.
Nothing is created in /etc/passwd, and no mode or owner outside it changes.
"""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from durable.postgres.embedded import trust
from durable.postgres.embedded.errors import ANOTHER, LauncherError
from durable.postgres.embedded.home import Home

SPARE_UIDS = range(54320, 54400)  # beside what distributions give to users and to daemons
UID_MAP = Path("/proc/self/uid_map")  # Linux: which uids exist in this (rootless) container
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


class Identity(TypedDict, total=False):
    """What `subprocess` needs in order to start a program as an account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A uid and gid that differ from ours, which root hands something to."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make `path` the account's; a symbolic link is not followed."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def own_tree(self, directory: Path) -> None:
        """Make `directory` and all in it the account's."""
        trust.own_tree(directory, self.uid, self.gid)


def identity(account: Account | None) -> Identity:
    """Return the arguments with which `subprocess` starts a program as `account`; None: as us."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def server_account(home: Home) -> Account | None:
    """Return the account that runs Postgres, None when it is our own.

    Raises:
        LauncherError: we may not use this directory, or are root and have no other uid.
    """
    owner = _owner(home.data)
    if os.geteuid() != 0:
        _refuse_strangers(home, owner)
        return None
    for path in (home.data, home.root, *home.root.parents[:1]):
        if (owner := _owner(path)) is not None and owner != 0:
            return Account(owner, _group_of(owner))
    return _nobody_in_particular()


def _nobody_in_particular() -> Account:
    """Return an account that stands for nobody: a number without a name, else one with a name."""
    for uid in SPARE_UIDS:
        if _is_mapped(uid) and not _has_name(uid):
            return Account(uid, uid)
    return named_account()


def owners(home: Home) -> set[int]:
    """Return whose the home directory may be, for us to use it.

    Our own; for root also that of whose the project is, and of whom it would run Postgres as.
    """
    if os.geteuid() != 0:
        return {os.geteuid()}
    project = _owner(home.root.parent)
    spare = {uid for uid in SPARE_UIDS if not _has_name(uid)}
    return {0, project or named_account().uid, *spare}


def named_account() -> Account:
    """Return an account with a name: `initdb`, unlike the server, insists on one.

    Raises:
        LauncherError: this machine knows root only.
    """
    others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0 and _is_mapped(entry.pw_uid)]
    others.sort(key=lambda entry: entry.pw_name != "nobody")
    if not others:
        raise LauncherError(
            "Postgres refuses to run as root, and there is no other user here to run it as. Run "
            f"the program as an ordinary user, or {ANOTHER}."
        )
    return Account(others[0].pw_uid, others[0].pw_gid)


def own_name_is_known() -> bool:
    """Tell whether our own uid has a name, as it often has not in a container."""
    return _has_name(os.geteuid())


def prepare(home: Home, account: Account | None) -> None:
    """Create the home directory, its `.gitignore` and its lock files where they are missing.

    Raises:
        OSError: the directory cannot be created or written.
    """
    for directory in (home.root, home.start_lock.parent):
        if not directory.is_dir():
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            if account is not None:
                account.own(directory)
    write_once(home.root / ".gitignore", "*\n", account)
    for path in home.lock_files:
        write_once(path, "", account)


def write_once(path: Path, text: str, account: Account | None) -> None:
    """Create the file `path` with `text`, readable by its owner alone, unless it is there."""
    try:
        descriptor = trust.opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if account is not None:
            os.fchown(file.fileno(), account.uid, account.gid)


def rewrite(path: Path, text: str, account: Account | None) -> None:
    """Replace the file `path` at one moment: a reader sees the old text or the new one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    write_once(fresh, text, account)
    fresh.replace(path)


def can_run(program: Path, account: Account | None) -> bool:
    """Tell whether `account` can run `program`; tried by running it, so that nothing is guessed.

    Raises:
        LauncherError: this process is root, but may not become another user.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - a Postgres program, chosen by binaries.choose
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **identity(account),
        )
    except OSError as error:
        if error.errno == errno.EACCES:
            return False
        raise LauncherError(
            "Postgres refuses to run as root, and this process could not become another user "
            f"({error.strerror}). Run it as an ordinary user, or with the capabilities SETUID "
            f"and SETGID, or {ANOTHER}."
        ) from error
    return answer.returncode == 0


def _refuse_strangers(home: Home, owner: int | None) -> None:
    if owner is None or owner == os.geteuid():
        return
    raise LauncherError(
        f"{home.data} belongs to {_person(owner)}, and Postgres runs only as the owner of its "
        f"data; you are {_person(os.geteuid())}. Run the program as that user or as root, or in "
        f"another directory, or {ANOTHER}."
    )


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _person(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _is_mapped(uid: int) -> bool:
    try:
        lines = UID_MAP.read_text().splitlines()
    except FileNotFoundError:
        return True
    ranges = [(int(first), int(count)) for first, _, count in map(str.split, lines)]
    return any(first <= uid < first + count for first, count in ranges)
