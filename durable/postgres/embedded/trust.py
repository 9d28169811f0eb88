"""Whether the home directory can be trusted, and opening files in it without following links.

Who made the directory decides which server we talk to, with which password, and root would write
and give away files in it. So it has to be a directory, not a link, of whoever runs Postgres here,
and closed to others for writing; and no file in it is reached through a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from durable.postgres.embedded.errors import ANOTHER, LauncherError
from durable.postgres.embedded.home import Home

OTHERS_WRITE = 0o022
OR_ELSEWHERE = f"or run in another directory, or {ANOTHER}"


def examine(home: Home, owners: Collection[int]) -> None:
    """Make sure that one of `owners` made what is there of the home directory, and no link did.

    Raises:
        LauncherError: it was not; the message says what was found, and what to do.
    """
    for path in (home.root, home.start_lock.parent, home.data):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise LauncherError(
                f"{path} is a symbolic link, and whoever can change it decides which Postgres this"
                f" program talks to. Put a directory in its place, {OR_ELSEWHERE}."
            )
        if not stat.S_ISDIR(found.st_mode):
            raise LauncherError(f"{path} is not a directory. Move it away, {OR_ELSEWHERE}.")
        if found.st_uid not in owners:
            raise LauncherError(
                f"{path} belongs to uid {found.st_uid}, who is neither you (uid {os.geteuid()})"
                f" nor whose project this is. If you did not make it, do not use what is in it:"
                f" delete it, {OR_ELSEWHERE}."
            )
        if found.st_mode & OTHERS_WRITE:
            raise LauncherError(
                f"{path} can be written by others (mode {stat.S_IMODE(found.st_mode):o}). Look at"
                f" what is in it, then `chmod go-w {path}`, {OR_ELSEWHERE}."
            )


def opened(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open a file; neither it nor its directory may be a symbolic link.

    Raises:
        OSError: as `os.open`; ELOOP or ENOTDIR for a link.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.open(path.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)
    finally:
        os.close(directory)


def read(path: Path) -> str:
    """The text of a file that is reached by no link."""
    with os.fdopen(opened(path, os.O_RDONLY), encoding="utf-8") as file:
        return file.read()


def own_tree(directory: Path, uid: int, gid: int) -> None:
    """Make a directory and all in it somebody else's; only root can.

    What is owned stays within the tree: it is walked by descriptors, links are owned themselves,
    and a file with a second name, which may lie elsewhere, is refused.

    Raises:
        LauncherError: a file has more names than one.
    """
    for path, directories, files, descriptor in os.fwalk(directory, follow_symlinks=False):
        os.fchown(descriptor, uid, gid)
        for name in (*directories, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1 and found.st_uid != uid:
                raise LauncherError(
                    f"{path}/{name} has a second name somewhere else, so it is not given to uid"
                    f" {uid}. Copy the data without hard links, {OR_ELSEWHERE}."
                )
            os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
