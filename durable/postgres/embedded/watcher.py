"""The parent of `postgres`: stops it when its last user is gone, and restarts it when it dies.

A script of its own, started as `python -I -S watcher.py <home>` and told on its standard input
what to run. It imports the standard library alone, so that it is up in milliseconds and depends on
nothing that an application may have done to its process. It has a single thread for two reasons:
what the kernel sends the child upon its parent's death, it sends upon the death of the *thread*
that forked; and code between fork and exec is safe only there.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

POLL_SECONDS = 0.25  # how often the watcher looks for the last user's end: a file lock wakes nobody
START_POLL_SECONDS = 0.01
LOCK_SECONDS_MAX = 10
READY_SECONDS_MAX = 600  # a recovery after a crash reads the whole log of changes
STOP_SECONDS_MAX = 30  # for a fast shutdown, which writes a checkpoint
QUIT_SECONDS_MAX = 5  # for an immediate one, which writes nothing
ORPHAN_SECONDS_MAX = 0.5  # for backends to notice that the postmaster is gone
ENDINGS = (
    (signal.SIGINT, STOP_SECONDS_MAX),
    (signal.SIGQUIT, QUIT_SECONDS_MAX),
    (signal.SIGKILL, QUIT_SECONDS_MAX),
)
RESTARTS_MAX = 5
RESTARTS_WINDOW_SECONDS = 60
PR_SET_PDEATHSIG = 1
PIDFILE_STATUS_LINE = 7
READY = "ready"


class WatchError(Exception):
    """The server cannot be run; the message goes to the launcher and to the log."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run and watch: the launcher's wishes, sent as JSON.

    Attributes:
        command: `postgres` and its arguments, all but the name of the data directory.
        data: The data directory.
        log: The file that gets all output.
        start_lock, users_lock, watcher_lock, server_lock: See the sign of the room.
        socket_directory: A directory outside the home directory to remove at the end; "" for none.
        environment: The whole environment of `command`.
        uid, gid: Whom to run it as; -1 for ourselves.
    """

    command: list[str]
    data: str
    log: str
    start_lock: str
    users_lock: str
    watcher_lock: str
    server_lock: str
    socket_directory: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    uid: int = -1
    gid: int = -1


class Watcher:
    """Runs one server by one order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.stopping = False
        self.restarts: list[float] = []
        self.wake, self.waker = os.pipe()
        self.users = _open(order.users_lock)
        self.start = _open(order.start_lock)

    def watch(self, report_ready: Callable[[], None]) -> None:
        """Start the server, report that it is ready, and stay until it is no longer needed.

        Raises:
            WatchError: it did not start, or dies again and again.
        """
        self._listen_to_signals()
        own = _open(self.order.watcher_lock)
        _lock(own, LOCK_SECONDS_MAX, "another watcher is running")
        server = self._launch()
        report_ready()
        while True:
            self._sleep()
            if self.stopping or self._is_deserted():
                self._stop(server)
                return
            if self._is_unused():
                self._stop(server)
                return
            if server.poll() is not None:
                server = self._relaunch(server)

    def _launch(self) -> subprocess.Popen[bytes]:
        """Start the server and wait until it takes connections."""
        lock = _open(self.order.server_lock)
        try:
            self._clear_the_ground(lock)
            server = self._spawn(lock)
        finally:
            os.close(lock)  # from here on the server alone holds it
        deadline = time.monotonic() + READY_SECONDS_MAX
        while status(Path(self.order.data), server.pid) != READY:
            if server.poll() is not None:
                raise WatchError(f"postgres ended with status {server.returncode}")
            if self.stopping or time.monotonic() > deadline:
                self._stop(server)
                raise WatchError("postgres did not get ready in time")
            time.sleep(START_POLL_SECONDS)
        return server

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        order, parent = self.order, os.getpid()
        prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

        def follow_me_into_death() -> None:
            # After the change of uid, which would clear it; SIGINT asks for a fast shutdown.
            if prctl is not None:
                prctl(PR_SET_PDEATHSIG, signal.SIGINT)
                if os.getppid() != parent:
                    os.kill(os.getpid(), signal.SIGKILL)

        drops = order.uid >= 0
        log_file = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(log_file, "ab") as log, door(Path(order.data)) as (descriptor, name):
            return subprocess.Popen(  # noqa: S603 - the launcher's command
                [*order.command, "-D", name if drops else order.data],
                cwd="/",  # before 16, Postgres wants to come back to where it was started
                env=order.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock, descriptor],
                user=order.uid if drops else None,
                group=order.gid if drops else None,
                extra_groups=[] if drops else None,
                preexec_fn=follow_me_into_death,  # noqa: PLW1509 - there is one thread here
            )

    def _relaunch(self, server: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        now = time.monotonic()
        recent = [then for then in self.restarts if now - then < RESTARTS_WINDOW_SECONDS]
        if len(recent) >= RESTARTS_MAX:
            raise WatchError(f"postgres ended {RESTARTS_MAX} times within a minute; giving up")
        self.restarts = [*recent, now]
        _say(f"postgres ended with status {server.returncode}; starting it again")
        return self._launch()

    def _clear_the_ground(self, lock: int) -> None:
        """Take server.lock: end what another watcher left, and remove what a dead server left."""
        data = Path(self.order.data)
        if not _try_lock(lock, 0):
            self._end_predecessor(lock)
        stranger = foreign_server(data)
        if stranger is not None:
            raise WatchError(
                f"process {stranger} runs another Postgres on {data}, which this launcher did "
                f"not start: stop it, and try again"
            )
        # No server lives, so a pid in these files is somebody else's and would confuse the next.
        for directory in (data, Path(self.order.socket_directory or data)):
            for path in directory.glob(".s.PGSQL.*"):
                path.unlink(missing_ok=True)
        (data / "postmaster.pid").unlink(missing_ok=True)

    def _end_predecessor(self, lock: int) -> None:
        """End a server whose watcher died, or the backends of one that died itself."""
        data, server_lock = Path(self.order.data), Path(self.order.server_lock)
        for signum, seconds in ENDINGS[:-1]:
            leader = _postmaster(data, server_lock)
            if leader is not None:
                with suppress(ProcessLookupError):
                    os.kill(leader, signum)
            if _try_lock(lock, seconds if leader is not None else ORPHAN_SECONDS_MAX):
                return
        for pid in servers(data, server_lock):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _lock(lock, QUIT_SECONDS_MAX, "an earlier Postgres does not end")

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        for signum, seconds in ENDINGS:
            server.send_signal(signum)
            with suppress(subprocess.TimeoutExpired):
                server.wait(seconds)
                break
        if self.order.socket_directory:
            with suppress(OSError):
                Path(self.order.socket_directory).rmdir()

    def _is_unused(self) -> bool:
        """Tell whether the last user is gone; if so, keep new ones out until we are gone too."""
        if not _try_lock(self.start, 0):
            return False  # somebody is about to join
        if _try_lock(self.users, 0):
            return True
        fcntl.flock(self.start, fcntl.LOCK_UN)
        return False

    def _is_deserted(self) -> bool:
        """Tell whether our lock files were deleted: then nobody can join, nor find the server."""
        try:
            there = Path(self.order.users_lock).stat()
        except OSError:
            return True
        return not os.path.samestat(there, os.fstat(self.users))

    def _sleep(self) -> None:
        """Wait a moment, or until a child ends or a signal tells us to stop."""
        if select.select([self.wake], [], [], POLL_SECONDS)[0]:
            with suppress(BlockingIOError):
                os.read(self.wake, 4096)

    def _listen_to_signals(self) -> None:
        def stop(_signum: int, _frame: object) -> None:
            self.stopping = True

        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for descriptor in (self.wake, self.waker):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, stop)


@contextmanager
def door(directory: Path) -> Iterator[tuple[int, str]]:
    """Open a directory; yield the descriptor, and a name that leads there for who inherits it.

    The name has no directories before it that could be closed to another uid. Without /proc (that
    is, elsewhere than on Linux) it is the plain path.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = f"/proc/self/fd/{descriptor}"
        yield descriptor, name if Path(name).exists() else str(directory)
    finally:
        os.close(descriptor)


def status(data: Path, pid: int | None = None) -> str:
    """Return what the server says of itself: "starting", "ready", "stopping", or "" for nothing.

    Args:
        data: The data directory.
        pid: Whose word counts; that of a dead predecessor may still be there. None: anybody's.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    if len(lines) <= PIDFILE_STATUS_LINE or (pid is not None and lines[0] != str(pid)):
        return ""
    return lines[PIDFILE_STATUS_LINE].strip()


def servers(data: Path, server_lock: Path) -> Iterator[int]:
    """Yield the processes of our server: they work in `data` and hold the lock; on Linux only.

    Both are asked for, since a user who looks whether the lock is held has it open for a moment.
    """
    wanted = server_lock.stat()
    for entry in Path("/proc").glob("[0-9]*"):
        if _works_in(entry, data) and any(_is(link, wanted) for link in _listing(entry / "fd")):
            yield int(entry.name)


def foreign_server(data: Path) -> int | None:
    """Return the pid of a live server on `data`, which must not be one of ours; on Linux only."""
    pid = _pid_in_file(data)
    return pid if pid is not None and _works_in(Path(f"/proc/{pid}"), data) else None


def _postmaster(data: Path, server_lock: Path) -> int | None:
    """Return the pid of the server that holds server.lock, as far as that can be known."""
    pid = _pid_in_file(data)
    if pid is None or (sys.platform == "linux" and pid not in set(servers(data, server_lock))):
        return None
    return pid


def _works_in(process: Path, directory: Path) -> bool:
    try:
        return os.path.samestat((process / "cwd").stat(), directory.stat())
    except OSError:
        return False  # another user's, or gone


def _is(link: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(link.stat(), wanted)
    except OSError:
        return False


def _listing(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _pid_in_file(data: Path) -> int | None:
    try:
        first = (data / "postmaster.pid").read_text().splitlines()[0]
        return abs(int(first))
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)


def _try_lock(descriptor: int, wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(START_POLL_SECONDS)
        else:
            return True


def _lock(descriptor: int, wait_seconds: float, otherwise: str) -> None:
    if not _try_lock(descriptor, wait_seconds):
        raise WatchError(otherwise)


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    sys.stderr.write(f"{stamp} UTC [{os.getpid()}] watcher: {text}\n")
    sys.stderr.flush()


@contextmanager
def _detached() -> Iterator[None]:
    """Run a block in a grandchild, which belongs to no process that would have to wait for it."""
    if os.fork():
        os._exit(0)
    os.chdir("/")  # whatever directory we were started in may go
    yield


def main() -> int:
    """Read the order, run it, and answer "ready" on the standard output; no answer is a failure."""
    order = Order(**json.load(sys.stdin))
    with _detached(), os.fdopen(os.dup(1), "w") as answer, Path(os.devnull).open("r+b") as nothing:
        for descriptor in (0, 1):
            os.dup2(nothing.fileno(), descriptor)

        def ready() -> None:
            answer.write(READY)
            answer.close()  # what the launcher waits for

        try:
            Watcher(order).watch(ready)
        except (WatchError, OSError) as error:
            _say(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
