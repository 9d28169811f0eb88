"""Real exceptions of the libraries that people use: whole, or an ApplicationError; nothing between.

Those of the standard library and of what the project needs anyway always run; the others where
they are installed.
"""

# Mistakes, on purpose.
# ruff: noqa: S301, S307, S314, S318, S321, PLW0108, PTH104, PTH208, PLE0643

import asyncio
import base64
import binascii
import concurrent.futures
import configparser
import contextlib
import csv
import ctypes
import decimal
import email.errors
import ftplib
import getopt
import gzip
import http.client
import http.cookies
import imaplib
import importlib
import io
import ipaddress
import itertools
import json
import locale
import lzma
import os
import pathlib
import pickle
import poplib
import queue
import re
import shutil
import smtplib
import socket
import sqlite3
import ssl
import statistics
import struct
import subprocess
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import uuid
import warnings
import xml.dom.minidom
import xml.etree.ElementTree as ET
import zipfile
import zlib
import zoneinfo
from collections.abc import Callable
from typing import Any

import asyncpg
import jsonschema
import pydantic
import pydantic_core
import pytest
import typer
import yaml

from durable.codec import inspection
from durable.codec.exceptions import exception_of
from durable.codec.failures import failure_of
from durable.errors import ApplicationError
from durable.protocol.failures import Failure

NOWHERE = "/no/such/directory/file"
Make = Callable[[], Any]


def sql(statement: str) -> Any:
    """Ask SQLite."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (a primary key)")
        connection.execute("insert into t values (1)")
        return connection.execute(statement)


def asking(*command: str, **options: Any) -> Any:
    """Run a program."""
    return subprocess.run(command, check=True, capture_output=True, **options)


def tarred(data: bytes) -> Any:
    """Open an archive."""
    return tarfile.open(fileobj=io.BytesIO(data))


def parsed(text: str) -> configparser.ConfigParser:
    """Read a configuration."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser


def late() -> Any:
    """Wait in vain."""

    async def main() -> None:
        async with asyncio.timeout(0):
            await asyncio.sleep(1)

    return asyncio.run(main())


class Item(pydantic.BaseModel):
    """A model."""

    count: int


# Each gives an exception, or raises it.
ALWAYS: dict[str, Make] = {
    "json": lambda: json.loads("{"),
    "key": lambda: {}["missing"],
    "key tuple": lambda: {}[(1, 2)],
    "index": lambda: [][1],
    "zero": lambda: 1 / 0,
    "overflow": lambda: 10.0**400,
    "attribute": lambda: object().nothing,  # type: ignore[attr-defined]
    "name": lambda: eval("nothing"),
    "unbound": lambda: UnboundLocalError("x"),
    "type": lambda: "a" + 1,  # type: ignore[operator]
    "value": lambda: int("x"),
    "assertion": lambda: AssertionError(("a", 1)),
    "recursion": lambda: RecursionError("deep"),
    "memory": lambda: MemoryError(),
    "stop": lambda: StopIteration(3),
    "stop async": lambda: StopAsyncIteration(4),
    "end of file": lambda: EOFError("x"),
    "import": lambda: importlib.import_module("no_such_module_at_all"),
    "syntax": lambda: compile("a b", "f.py", "exec"),
    "indentation": lambda: compile(" a\nb", "f.py", "exec"),
    "decode": lambda: b"a\xff".decode(),
    "encode": lambda: "é".encode("ascii"),
    "translate": lambda: UnicodeTranslateError("a", 0, 1, "why"),
    "warning": lambda: DeprecationWarning("old"),
    "no file": lambda: pathlib.Path(NOWHERE).read_text(encoding="utf-8"),
    "rename": lambda: os.rename(NOWHERE, "/b"),
    "list directory": lambda: os.listdir(pathlib.Path(NOWHERE)),
    "permission": lambda: PermissionError(13, "Permission denied", "/x"),
    "exists": lambda: FileExistsError(17, "File exists", "/x"),
    "broken pipe": lambda: BrokenPipeError(32, "Broken pipe"),
    "blocking": lambda: BlockingIOError(11, "would block", 5),
    "os message": lambda: OSError("only a message"),
    "refused": lambda: socket.create_connection(("127.0.0.1", 9), 1),
    "unknown host": lambda: socket.gaierror(-2, "Name or service not known"),
    "herror": lambda: socket.herror(1, "Unknown host"),
    "timeout": late,
    "tls": lambda: ssl.SSLCertVerificationError(1, "certificate verify failed"),
    "tls context": lambda: ssl.create_default_context(cafile=NOWHERE),
    "url": lambda: urllib.request.urlopen("http://127.0.0.1:9"),
    "url status": lambda: urllib.error.HTTPError("http://x", 404, "gone", {}, None),  # type: ignore[arg-type]
    "url too short": lambda: urllib.error.ContentTooShortError("short", b"ab"),  # type: ignore[arg-type]
    "url port": lambda: urllib.parse.urlsplit("http://a:x").port,
    "http incomplete": lambda: http.client.IncompleteRead(b"ab", 5),
    "http status": lambda: http.client.BadStatusLine("x"),
    "http gone": lambda: http.client.RemoteDisconnected("closed"),
    "http cookie": lambda: http.cookies.SimpleCookie().__setitem__("a b", "c"),
    "smtp refused": lambda: smtplib.SMTPRecipientsRefused({"a@b": (550, b"no")}),
    "smtp response": lambda: smtplib.SMTPResponseException(550, b"no"),
    "smtp sender": lambda: smtplib.SMTPSenderRefused(550, b"no", "a@b"),
    "ftp": lambda: ftplib.error_perm("550 no"),
    "imap": lambda: imaplib.IMAP4.error("no"),
    "pop": lambda: poplib.error_proto(b"-ERR"),
    "email": lambda: email.errors.MessageParseError("x"),
    "exit status": lambda: asking("sh", "-c", "echo out; echo err >&2; exit 3"),
    "program timeout": lambda: asking("sleep", "5", timeout=0.01),
    "no program": lambda: asking(NOWHERE),
    "sqlite unique": lambda: sql("insert into t values (1)"),
    "sqlite table": lambda: sql("select * from nothing"),
    "sqlite syntax": lambda: sql("selekt"),
    "zlib": lambda: zlib.decompress(b"x"),
    "gzip": lambda: gzip.decompress(b"xx"),
    "lzma": lambda: lzma.decompress(b"xx"),
    "zip": lambda: zipfile.ZipFile(io.BytesIO(b"x")),
    "tar": lambda: tarred(b"x"),
    "pickle": lambda: pickle.loads(b"x"),
    "unpicklable": lambda: pickle.dumps(lambda: 1),
    "base64": lambda: base64.b64decode("a"),
    "hex": lambda: binascii.unhexlify("xy"),
    "struct": lambda: struct.unpack("I", b""),
    "csv": lambda: list(csv.reader(["a\rb"], strict=True)),
    "xml": lambda: ET.fromstring("<a"),
    "dom": lambda: xml.dom.minidom.parseString("<a"),
    "configuration": lambda: parsed("x"),
    "configuration option": lambda: parsed("[a]").get("a", "b"),
    "configuration twice": lambda: parsed("[a]\n[a]"),
    "decimal": lambda: decimal.Decimal("x"),
    "regex": lambda: re.compile("("),
    "address": lambda: ipaddress.ip_address("x"),
    "time zone": lambda: zoneinfo.ZoneInfo("Nowhere/At_all"),
    "uuid": lambda: uuid.UUID("x"),
    "statistics": lambda: statistics.mean([]),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "xx_XX"),
    "options": lambda: getopt.getopt(["-x"], "a"),
    "shutil": lambda: shutil.Error([("a", "b", "why")]),
    "copy itself": lambda: shutil.SameFileError("a and b are the same file"),
    "queue": lambda: queue.Queue().get_nowait(),
    "islice": lambda: itertools.islice([], -1),
    "ctypes": lambda: ctypes.c_int("x"),  # type: ignore[arg-type]
    "future": lambda: concurrent.futures.TimeoutError(),
    "broken pool": lambda: concurrent.futures.BrokenExecutor("broken"),
    "stream": lambda: asyncio.IncompleteReadError(b"ab", 5),
    "stream limit": lambda: asyncio.LimitOverrunError("long", 3),
    "future state": lambda: asyncio.InvalidStateError("x"),
    "group": lambda: ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
    "user warning": lambda: warnings.warn_explicit("x", UserWarning, "f", "no line"),  # type: ignore[call-overload]
    "pydantic": lambda: Item.model_validate({"count": "x"}),
    "pydantic core": lambda: pydantic_core.PydanticCustomError("kind", "text"),
    "pydantic schema": lambda: pydantic.TypeAdapter(socket.socket),
    "yaml": lambda: yaml.safe_load("a: ["),
    "yaml tag": lambda: yaml.safe_load("!!python/object:x {}"),
    "jsonschema": lambda: jsonschema.validate(1, {"type": "string"}),
    "jsonschema schema": lambda: jsonschema.Draft7Validator.check_schema({"type": 5}),
    "typer": lambda: typer.BadParameter("x"),
    "typer exit": lambda: typer.Exit(3),
    "asyncpg": lambda: asyncpg.UniqueViolationError("duplicate key"),
    "asyncpg interface": lambda: asyncpg.InterfaceError("closed"),
}  # fmt: skip

# They hold a socket, a parser, a schema or Rust's own state, or are made by code of their own.
STAND_INS = {
    "url status", "decimal", "pydantic", "pydantic core", "yaml", "yaml tag", "jsonschema",
    "jsonschema schema",
    # Its line is a text of a class of configparser's own from there on.
    *(["configuration"] if sys.version_info >= (3, 13) else []),
}  # fmt: skip


def of(module: str, make: Callable[[Any], Any]) -> Make:
    """An exception of a library that may be missing."""
    return lambda: make(pytest.importorskip(module))


SOMETIMES: dict[str, Make] = {
    "requests": of("requests", lambda m: m.get("http://127.0.0.1:9", timeout=1)),
    "requests status": of("requests", lambda m: m.HTTPError("404", response=m.Response())),
    "httpx": of("httpx", lambda m: m.get("http://127.0.0.1:9")),
    "httpx status": of("httpx", lambda m: m.Response(
        503, request=m.Request("GET", "http://x")).raise_for_status()),
    "aiohttp": of("aiohttp", lambda m: m.ServerTimeoutError("late")),
    "sqlalchemy": of("sqlalchemy", lambda m: m.create_engine("sqlite://").connect().execute(
        m.text("select * from nothing"))),
    "sqlalchemy none": of("sqlalchemy.exc", lambda m: m.NoResultFound("none")),
    "psycopg": of("psycopg", lambda m: m.connect("host=127.0.0.1 port=9")),
    "redis": of("redis", lambda m: m.Redis(port=9).ping()),
    "botocore": of("botocore.exceptions", lambda m: m.ClientError(
        {"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject")),
    "grpc": of("grpc", lambda m: m.insecure_channel("127.0.0.1:9").unary_unary("/a/b")(
        b"", timeout=0.2)),
    "openai": of("openai", lambda m: m.APIConnectionError(
        request=pytest.importorskip("httpx").Request("GET", "http://x"))),
    "stripe": of("stripe", lambda m: m.CardError("declined", "p", "declined", http_status=402)),
    "click": of("click", lambda m: m.UsageError("x")),
    "jinja2": of("jinja2", lambda m: m.Template("{% if")),
    "pymongo": of("pymongo.errors", lambda m: m.DuplicateKeyError("dup", 11000, {"a": 1})),
    "django": of("django.core.exceptions", lambda m: m.ValidationError({"f": ["bad"]})),
    "tenacity": of("tenacity", lambda m: m.retry(stop=m.stop_after_attempt(1))(lambda: 1 / 0)()),
    "websockets": of("websockets.exceptions", lambda m: m.ConnectionClosedError(None, None)),
    "paramiko": of("paramiko.ssh_exception", lambda m: m.NoValidConnectionsError(
        {("127.0.0.1", 9): OSError("x")})),
    "google": of("google.api_core.exceptions", lambda m: m.NotFound("x")),
    "pandas": of("pandas", lambda m: m.DataFrame({"a": [1]})["b"]),
}  # fmt: skip


def raised(make: Make) -> BaseException:
    """The exception, with a traceback where it has one."""
    try:
        found = make()
    except Exception as error:  # noqa: BLE001 - that is what is wanted
        return error
    assert isinstance(found, BaseException), found
    return found


def state(exc: BaseException) -> dict[str, Any]:
    """All that it holds, shown with its types."""
    held = {**inspection.dict_of(exc), **inspection.fields_of(exc), "args": exc.args}
    held.pop("__notes__", None)
    if isinstance(exc, ExceptionGroup):
        held = {"message": exc.message, "exceptions": [state(one) for one in exc.exceptions]}
    return {name: f"{type(value).__name__} {value!r}" for name, value in held.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*ALWAYS, *SOMETIMES])
def test_whole_or_an_application_error(name: str):
    """With all that it held, or with type, message, traceback and the names of what is lost."""
    exc = raised({**ALWAYS, **SOMETIMES}[name])
    failure = failure_of(exc)
    back = exception_of(Failure.from_dict(json.loads(failure.to_json())))
    assert str(back) == inspection.text_of(exc)
    if type(back) is ApplicationError:
        assert back.type == type(exc).__name__
        assert back.details["lost"]
        assert type(exc).__name__ in back.__notes__[-1]
    else:
        assert type(back) is type(exc)
        assert state(back) == state(exc)
    if name in ALWAYS:
        assert (type(back) is ApplicationError) is (name in STAND_INS)


def test_there_are_enough():
    """Eighty and more, whatever is installed."""
    assert len(ALWAYS) >= 80
