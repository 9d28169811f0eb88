"""What people have for a DSN is taken, or refused without a word of it."""

from __future__ import annotations

import inspect
import traceback
from urllib.parse import quote

import pytest
from asyncpg.connect_utils import _parse_connect_arguments

from durable.errors import ConfigurationError
from durable.postgres.dsn import read_dsn, shown

SECRET = "s3cret"  # noqa: S105


def _parsed(dsn: str):
    """What the driver makes of it; which arguments it has differs by its release."""
    given = dict.fromkeys(inspect.signature(_parse_connect_arguments).parameters)
    given |= {"dsn": dsn, "statement_cache_size": 100}
    given |= {"max_cached_statement_lifetime": 0, "max_cacheable_statement_size": 0}
    return _parse_connect_arguments(**given)[:2]


URIS = [
    "postgresql://app:{}@db:6543/app",
    "postgres://app:{}@db:6543/app",
    "postgresql+asyncpg://app:{}@db:6543/app",
    "postgresql+psycopg://app:{}@db:6543/app?application_name=a",
]
PASSWORDS = ["plain", "s/la#sh", "a@b", "p%40", "100%", "q?m", "a:b", "é ü", "a&b=c", "p[x]"]


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize("password", PASSWORDS)
def test_passwords_escaped_or_not(uri: str, password: str):
    """A password is read as it was meant, with its special characters escaped or as they are."""
    meant = password.replace("%40", "@")
    for written in (password, quote(meant, safe="")):
        addresses, params = _parsed(read_dsn(uri.format(written)))
        assert (params.user, params.password, params.database) == ("app", meant, "app")
        assert addresses == [("db", 6543)]


@pytest.mark.parametrize("password", PASSWORDS)
def test_key_value_strings(password: str):
    """Libpq's other form, with its own quotes."""
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    text = f" host=db port = 6543 user=app password='{quoted}' dbname=app sslmode=require"
    addresses, params = _parsed(read_dsn(text))
    assert (params.user, params.password, params.database) == ("app", password, "app")
    assert addresses == [("db", 6543)]
    assert params.ssl is not None


def test_several_hosts_and_sockets():
    """What is taken as a URI is what is taken as pairs, several hosts and sockets too."""
    for text in (
        "postgresql://u@a:1,b:2/n?target_session_attrs=read-write",
        "host=a,b port=1,2 user=u dbname=n target_session_attrs=read-write",
    ):
        addresses, params = _parsed(read_dsn(text))
        assert addresses == [("a", 1), ("b", 2)]
        assert params.target_session_attrs.value == "read-write"
    for text in (
        "postgresql://u@/n?host=/run/pg&port=5433",
        "postgresql:///n?host=/run/pg&port=5433&user=u",
        "postgresql://u@%2Frun%2Fpg:5433/n",
        "host=/run/pg port=5433 user=u dbname=n",
    ):
        addresses, params = _parsed(read_dsn(text))
        assert addresses in ([("/run/pg/.s.PGSQL.5433", 5433)], ["/run/pg/.s.PGSQL.5433"])
        assert params.user == "u"
    assert _parsed(read_dsn("postgresql://u@[::1]:6000/n"))[0] == [("::1", 6000)]


def test_options_of_others():
    """SQLAlchemy's `ssl`, and libpq's options about what we see to ourselves."""
    dsn = read_dsn(
        "postgresql://u@h/n?ssl=require&connect_timeout=5&keepalives=1&channel_binding=prefer"
    )
    assert dsn == "postgresql://u@h/n?sslmode=require"
    with pytest.raises(ConfigurationError, match="channel_binding"):
        read_dsn("postgresql://u:s3cret@h/n?channel_binding=require")


BAD = [
    "", "   ", "app:s3cret@127.0.0.1/app", "mysql://app:s3cret@x/app", "s3cret",
    "postgresql://app:s3cret@h:port/app", "postgresql://app:s3cret@h:70000/app",
    "host=h port=70000 password=s3cret",
    "postgresql://app:s3cret@h:1x/app", "host=h password='s3cret",
    "host=h port=1,2 password=s3cret",
    "postgresql://app:s3cret@h/app?s3cret", "postgresql://app:s3cret@a b/app",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_read_is_explained_without_its_password(text: str):
    """One clear error, whose text and traceback have nothing of the DSN in them."""
    with pytest.raises(ConfigurationError) as caught:
        read_dsn(text)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert len(str(caught.value)) > 30


@pytest.mark.parametrize("password", PASSWORDS)
def test_what_is_shown_has_no_password(password: str):
    """Neither in its usual place nor among the options."""
    for dsn in (f"postgresql://u:{password}@h/n", read_dsn(f"postgresql://u:{password}@h/n")):
        assert shown(dsn) == "postgresql://u:***@h/n"
    assert shown("postgresql://u@h/n?password=s3cret&sslpassword=s3cret&a=b") == (
        "postgresql://u@h/n?password=***&sslpassword=***&a=b"
    )
    assert shown("postgresql:///n?host=/run") == "postgresql:///n?host=/run"
    socket = "postgresql://u@/n?host=/run/pg&port=5433"
    assert shown(read_dsn(socket)) == socket, "people can read the directory of a socket"


def test_escapes_and_one_port_for_all():
    """A backslash in `key=value`, one port for several hosts, a percent sign that is none."""
    assert read_dsn(r"user=ann password='it\'s' host=a,b port=5433 dbname=x") == (
        "postgresql://ann:it%27s@a:5433,b:5433/x"
    )
    assert read_dsn("postgresql://ann:5%41%@db/x") == "postgresql://ann:5%2541%25@db/x"
