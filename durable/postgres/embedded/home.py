"""The names of the files that the embedded Postgres keeps below its home directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The home directory and what lies where in it; knowing a name creates nothing.

    Example:
        >>> Home(Path("/srv/shop/.pg")).data
        PosixPath('/srv/shop/.pg/data')
    """

    root: Path

    @classmethod
    def at(cls, path: Path) -> Home:
        """Return the home at `path`, made absolute: the working directory may change later.

        The last name is left as it is: should it be a link, that is for others to see.
        """
        given = path.expanduser()
        return cls(given.parent.resolve() / given.name)

    @property
    def data(self) -> Path:
        """The data directory of Postgres, mode 0700; the socket lies in it too."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """What the server and the watcher have to say."""
        return self.root / "postgres.log"

    @property
    def endpoint(self) -> Path:
        """Where the server listens, as JSON; written before it starts."""
        return self.root / "endpoint.json"

    @property
    def password(self) -> Path:
        """The superuser's password, mode 0600; asked for on TCP only."""
        return self.root / "password"

    @property
    def start_lock(self) -> Path:
        """Held by whoever starts or stops the server."""
        return self.root / "locks" / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by all processes that use the server."""
        return self.root / "locks" / "users.lock"

    @property
    def watcher_lock(self) -> Path:
        """Held by the watcher while it lives."""
        return self.root / "locks" / "watcher.lock"

    @property
    def server_lock(self) -> Path:
        """Held by Postgres and its children while one of them lives."""
        return self.root / "locks" / "server.lock"

    @property
    def lock_files(self) -> tuple[Path, ...]:
        """All four, in the order in which they are taken."""
        return (self.start_lock, self.users_lock, self.watcher_lock, self.server_lock)
