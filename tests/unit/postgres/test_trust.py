"""`.durable/` of somebody else, or reached through a link, is refused before it is used."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from durable.postgres.embedded import cluster, endpoint, launcher, locks, ownership, trust, watcher
from durable.postgres.embedded.errors import LauncherError
from durable.postgres.embedded.home import Home
from durable.postgres.embedded.ownership import Account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def refused(home: Home) -> str:
    with pytest.raises(LauncherError) as caught:
        launcher.ensure_running_blocking(home.root, pg_bin="/nonexistent")
    return str(caught.value)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home as `prepare` makes it."""
    made = Home.at(tmp_path / "project" / ".durable")
    made.root.parent.mkdir()
    ownership.prepare(made, None)
    return made


@pytest.mark.parametrize("part", ["root", "locks", "data"])
def test_links_are_refused(home: Home, tmp_path: Path, part: str) -> None:
    """Neither `.durable` nor a directory in it may be a link; nothing is written behind it."""
    path = {"root": home.root, "locks": home.start_lock.parent, "data": home.data}[part]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if path.exists():
        path.rename(tmp_path / "aside")
    path.symlink_to(elsewhere)
    assert f"{path} is a symbolic link" in refused(home)
    assert list(elsewhere.iterdir()) == []
    assert f"{home.root.name}" == Home.at(home.root).root.name


def test_what_others_may_write_is_refused(home: Home) -> None:
    """A directory that others may write to is refused, with what to do."""
    home.root.chmod(0o777)
    assert f"chmod go-w {home.root}" in refused(home)
    home.root.chmod(0o700)
    trust.examine(home, ownership.owners(home))


def as_uid(uid: int, action: Callable[[], object]) -> str:
    """What the action says in a process of another uid: "" or the error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setuid(uid)
            action()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is told
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


@as_root
def test_a_home_of_somebody_else_is_refused_to_root_and_others() -> None:
    """An ordinary uid takes its own only; root also that of whose the project is."""
    stranger, person = 23_456, 23_457
    with tempfile.TemporaryDirectory() as project:  # pytest's own directories are closed to others
        Path(project).chmod(0o755)
        home = Home.at(Path(project) / ".durable")
        ownership.prepare(home, None)

        def examine() -> None:
            trust.examine(home, ownership.owners(home))

        examine()
        assert "belongs to uid 0" in as_uid(person, examine)
        Account(stranger, stranger).own_tree(home.root)
        assert f"belongs to uid {stranger}" in refused(home)
        assert f"belongs to uid {stranger}" in as_uid(person, examine)
        assert as_uid(stranger, examine) == ""
        os.chown(project, stranger, stranger)
        examine()


@pytest.mark.parametrize(
    "use",
    [
        lambda home, link: locks.is_held(link(home.users_lock)),
        lambda home, link: locks.share(link(home.users_lock), wait_seconds=0),
        lambda home, link: locks.exclusive(link(home.start_lock), wait_seconds=0).__enter__(),
        lambda home, link: link(home.endpoint) and endpoint.recorded(home),
        lambda home, link: link(home.password) and endpoint.password(home),
        lambda home, link: link(home.data / "PG_VERSION") and cluster.major_of(home),
        lambda home, link: trust.opened(link(home.log), os.O_WRONLY | os.O_APPEND),
        lambda home, link: watcher._open(str(link(home.server_lock))),
        lambda home, link: ownership.write_once(link(home.log) / "x", "text", None),
    ],
)  # fmt: skip
def test_files_are_opened_without_following_links(
    home: Home, tmp_path: Path, use: Callable[[Home, Callable[[Path], Path]], object]
) -> None:
    """Locks, log, address, password and version that are links are not opened."""
    target = tmp_path / "target"
    target.write_text("18\n")
    home.data.mkdir()

    def link(path: Path) -> Path:
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        return path

    with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
        use(home, link)
    assert target.read_text() == "18\n"


@as_root
def test_root_gives_away_only_what_lies_within(tmp_path: Path) -> None:
    """Links are given themselves, not what they lead to; a file with a second name is refused."""
    secret, tree = tmp_path / "secret", tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").touch()
    secret.touch()
    (tree / "link").symlink_to(secret)
    (tree / "directory").symlink_to(tmp_path)
    Account(23_456, 23_456).own_tree(tree)
    assert [p.lstat().st_uid for p in (tree, *sorted(tree.rglob("*")))] == [23_456] * 5
    assert secret.stat().st_uid == 0
    (tree / "inner" / "second").hardlink_to(secret)
    with pytest.raises(LauncherError, match="second name"):
        Account(23_456, 23_456).own_tree(tree)
    assert secret.stat().st_uid == 0
