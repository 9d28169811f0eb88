"""Data source names: what people have, as a URI for the driver, or without its password for them.

Taken are libpq's URIs and `key=value` strings, SQLAlchemy's URLs (`postgresql+asyncpg://`), several
hosts, sockets, and passwords whose special characters nobody has escaped. What cannot be read is
refused without a word of it in the error, since any part of it may be the password.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode

from durable.errors import ConfigurationError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_HOSTS = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]@:/?#,\s]*)(?::(\d+))?")
_TAIL = re.compile(r"(?:/([^?#@]*))?(?:\?(.*))?", re.DOTALL)
_PAIR = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)")

# libpq's options about how a connection is kept, which is ours to see to.
_OURS = {
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout", "fallback_application_name", "gssencmode", "sslsni", "sslcompression",
}  # fmt: skip

PORT_MAX = 65535

_ADVICE = (
    'give a URI such as "postgresql://user:password@host:5432/database", in whose parts special'
    " characters are escaped by urllib.parse.quote(part, safe='')"
)


def read_dsn(text: str) -> str:
    """The URI that the driver takes.

    Args:
        text: what the user gave.

    Raises:
        ConfigurationError: it cannot be read; the text itself is not in the message.

    Example:
        >>> read_dsn("host=db.example user=ann password='p@ss' dbname=app")
        'postgresql://ann:p%40ss@db.example/app'
    """
    text = text.strip()
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _from_pairs(text)
    if scheme[1].split("+")[0].lower() not in ("postgres", "postgresql"):
        raise ConfigurationError(f"the DSN begins with {scheme[1]!r}, and is none of Postgres")
    return _from_uri(text[scheme.end() :])


def shown(dsn: str) -> str:
    """A DSN for people: in the place of the password stands `***`.

    Example:
        >>> shown("postgresql://ann:secret@db/app")
        'postgresql://ann:***@db/app'
    """
    try:
        user, password, rest = _split(dsn.partition("://")[2])
    except ConfigurationError:
        return "postgresql://***"
    rest = re.sub(r"(?<=[?&])((?:ssl)?password)=[^&]*", r"\1=***", rest)
    login = user if password is None else f"{user}:***"
    return f"postgresql://{login}{'@' if login else ''}{rest}"


def _split(text: str) -> tuple[str, str | None, str]:
    """User, password, and what follows the `@`, of what follows the scheme.

    The usual case first; else everything to the last `@` is taken for user and password, whatever
    characters are in it.
    """
    login, at, rest = re.split(r"[/?#]", text, maxsplit=1)[0].rpartition("@")
    if at and "@" not in login and _is_rest(text[len(login) + 1 :]):
        rest = text[len(login) + 1 :]
    elif _is_rest(text):
        return "", None, text
    else:
        login, at, rest = text.rpartition("@")
        if not at or not _is_rest(rest):
            raise ConfigurationError(f"the DSN cannot be read: {_ADVICE}")
    user, colon, password = login.partition(":")
    return user, password if colon else None, rest


def _is_rest(text: str) -> bool:
    hosts = re.split(r"[/?#]", text, maxsplit=1)[0]
    tail = _TAIL.fullmatch(text[len(hosts) :])
    return tail is not None and all(_is_host(host) for host in hosts.split(","))


def _is_host(text: str) -> bool:
    match = _HOSTS.fullmatch(text)
    return match is not None and (match[1] is None or int(match[1]) <= PORT_MAX)


def _from_uri(text: str) -> str:
    user, password, rest = _split(text)
    where, question, query = rest.partition("?")
    login = _escaped(user)
    if password is not None:
        login += f":{_escaped(password)}"
    options = _options(query) if question else []
    return "postgresql://" + (f"{login}@" if login else "") + where + _query(options)


def _escaped(part: str) -> str:
    """A part with its special characters escaped, whether they had been or not."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", part):  # a percent sign as it is
        return quote(part, safe="")
    return quote(unquote(part), safe="")


def _options(query: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise ConfigurationError(
            f"the options of the DSN, after its '?', cannot be read: {_ADVICE}"
        ) from None
    return _taken(pairs)


def _taken(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    options = []
    for name, value in pairs:
        if name == "channel_binding":
            if value == "require":
                raise ConfigurationError(
                    "the DSN says channel_binding=require, which the driver cannot do: take it"
                    " out, and say sslmode=verify-full to be sure of the server"
                )
        elif name == "ssl":  # SQLAlchemy's
            options.append(("sslmode", {"true": "require", "false": "disable"}.get(value, value)))
        elif name not in _OURS:
            options.append((name, value))
    return options


def _from_pairs(text: str) -> str:
    """Libpq's `key=value` form."""
    pairs: dict[str, str] = {}
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            raise ConfigurationError(f"the DSN cannot be read: {_ADVICE}")
        value = pair[2] if pair[2] is not None else pair[3]
        pairs[pair[1]] = re.sub(r"\\(.)", r"\1", value)
        place = pair.end()
        place += len(text[place:]) - len(text[place:].lstrip())
    if not pairs:
        raise ConfigurationError(f"the DSN is empty: {_ADVICE}")
    user, password = pairs.pop("user", ""), pairs.pop("password", None)
    login = quote(user, safe="") + ("" if password is None else f":{quote(password, safe='')}")
    host, port = pairs.pop("hostaddr", None) or pairs.pop("host", ""), pairs.pop("port", "")
    pairs.pop("host", None)
    name = quote(pairs.pop("dbname", ""), safe="")
    options = _taken(list(pairs.items()))
    if host.startswith(("/", "@")):
        options += [("host", host)] + ([("port", port)] if port else [])
        where = ""
    else:
        where = _hosts(host, port)
    return "postgresql://" + (f"{login}@" if login else "") + f"{where}/{name}" + _query(options)


def _hosts(host: str, port: str) -> str:
    hosts, ports = host.split(","), port.split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(hosts) != len(ports) or not all(_is_host(f":{p}" if p else "") for p in ports):
        raise ConfigurationError("the DSN has not one port (1 to 65535) for each of its hosts")
    return ",".join(
        (f"[{h}]" if ":" in h else h) + (f":{p}" if p else "")
        for h, p in zip(hosts, ports, strict=True)
    )


def _query(options: list[tuple[str, str]]) -> str:
    # What a query may hold as it is stays readable: the directory of a socket is shown to people.
    return f"?{urlencode(options, safe='/:,', quote_via=quote)}" if options else ""
