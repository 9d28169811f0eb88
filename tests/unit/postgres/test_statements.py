"""Statements by name: what counts as a parameter, how it is numbered, and what is refused."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest

from durable.errors import InternalError
from durable.postgres.columns import BigInt, Column, Text
from durable.postgres.parameters import Parameters, RowKind
from durable.postgres.sql import SqlFile
from tests.sql_files import files_of, modules, sql_files


@dataclass(frozen=True, slots=True)
class Mark:
    run_id: BigInt
    note: Text | None
    aside: object = None

    @property
    def loud(self) -> Text:
        return (self.note or "").upper()


ROOT = Path(str(resources.files("durable")))
MARKS = {"marks": RowKind.of("marks", Mark)}


def parameters(text: str) -> Parameters:
    return Parameters("here.sql: one", text, MARKS)


@pytest.mark.parametrize(
    "text",
    [
        "select x::text, 'a:b', 'it''s :no', E'\\' :no', 1::float8",
        'select ":no" from t',
        "select 1 -- as :no says\n/* nor :no\n:no */",
        "select $$ :no $$, $tag$ :no $tag$",
        "select a -> 'x:y' ->> 'z', a #>> '{p,:no}', a @> '{\"k\": 1}'::jsonb, a[1:2], a[x:y]",
        "select f(a := 1)",
    ],
)
def test_what_is_no_parameter_is_left_alone(text: str):
    """Casts, literals, identifiers, comments, dollar quotes, JSON operators, slices."""
    assert parameters(text).text == text
    assert parameters(text).names == set()


def test_an_annotation_that_would_be_passed_over_is_refused():
    """A field is a column by the name of its type; spelt out where it stands it would be none."""

    @dataclass(frozen=True, slots=True)
    class Spelt:
        run_id: Annotated[int, Column("bigint")]

    with pytest.raises(InternalError, match="a name, such as Uuid"):
        RowKind.of("spelt", Spelt)


def test_values_and_rows_are_numbered_in_an_order_of_their_own():
    """Values first, as they come; then the columns of rows; the same name has the same number."""
    found = parameters(
        "select :b::int, :a, unnest(:marks.note), :b from unnest(:marks.*) as m(:marks)"
        " where m.run_id = any(:marks.run_id) and m.loud = m.note"
    )
    assert found.text == (
        "select $1::int, $2, unnest($4::text[]), $1"
        " from unnest($3::bigint[], $4::text[], $5::text[]) as m(run_id, note, loud)"
        " where m.run_id = any($3::bigint[]) and m.loud = m.note"
    )
    rows = [Mark(1, "x"), Mark(2, None)]
    given = found.arguments({"a": 5, "marks": rows, "b": 6})
    assert [list(g) if isinstance(g, Sequence) else g for g in given] == (
        [6, 5, [1, 2], ["x", None], ["X", ""]]
    )
    assert list(map(list, found.arguments({"a": 5, "marks": [], "b": 6})[2:])) == [[], [], []]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"a": 1}, "here.sql: one takes :a, :b: missing :b, unknown nothing"),
        ({"a": 1, "c": 1}, "missing :b, unknown :c"),
        ({"a": 1, "b": 1, "c": 1}, "missing nothing, unknown :c"),
    ],
)
def test_missing_and_unknown_arguments_are_named(given: dict[str, int], complaint: str):
    """A call with other names than the statement's is refused, by these names."""
    with pytest.raises(InternalError, match=complaint):
        parameters("select :a, :b").arguments(given)


def test_a_field_that_no_column_has_is_refused():
    """When the statement is loaded, not when it is sent."""
    with pytest.raises(InternalError, match=r"takes :marks.run_ids, but Mark has no such column"):
        parameters("select :marks.run_ids")
    with pytest.raises(InternalError, match="is given no rows 'runs'"):
        parameters("select :runs.run_id")
    with pytest.raises(InternalError, match=r"takes \$2: parameters have names"):
        parameters("select ':a $1', $$ $1 $$, $2")
    with pytest.raises(InternalError, match="reads no column of :marks: these are rows"):
        parameters("select from t where id = any(:marks::bigint[])")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the SQL files of a package are, whose name is `with_sql`."""
    folder = tmp_path / "with_sql" / "sql"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    sys.modules.pop("with_sql", None)


def test_a_column_that_no_statement_uses_is_refused(folder: Path):
    """Whoever adds a field has to write it; `:marks.*` alone writes nothing."""
    text = "-- name: one\nselect m.run_id from unnest(:marks.*) as m(:marks) where m.note <> ''"
    (folder / "x.sql").write_text(text)
    with pytest.raises(InternalError, match=r"x.sql writes no loud of :marks"):
        SqlFile("with_sql", "sql/x.sql", marks=Mark).load("durable")
    (folder / "x.sql").write_text(f"{text} and m.loud = 'A'")
    assert list(SqlFile("with_sql", "sql/x.sql", marks=Mark).load("durable")) == ["one"]


def test_an_included_text_is_filled_in(folder: Path):
    """Its own names are replaced, other parameters stay, and both files' schema is set."""
    (folder / "ranks.sql").write_text(
        ":name as (select from durable.t where :kind and q = :queue)\n"
    )
    (folder / "x.sql").write_text(
        "-- name: one\nwith\n-- include: ranks(name = low; kind = a = ':b')\nselect :limit"
    )
    statements = SqlFile("with_sql", "sql/x.sql").load("mine")
    assert statements.bind("one", queue="q", limit=3) == (
        "with\nlow as (select from \"mine\".t where a = ':b' and q = $1)\nselect $2", "q", 3,
    )  # fmt: skip
    (folder / "x.sql").write_text("-- name: one\n-- include: ranks(title = low)\n")
    with pytest.raises(InternalError, match=r"ranks.sql has no :title"):
        SqlFile("with_sql", "sql/x.sql").load("mine")


def test_every_file_is_declared_or_included():
    """No `.sql` file lies there that nothing loads, and so nothing checks."""
    texts = {path: path.read_text(encoding="utf-8") for path in ROOT.rglob("sql/*.sql")}
    declared = {ROOT.joinpath(*p.split(".")[1:], path) for p, path in sql_files()}
    parts = {path for path, text in texts.items() if "-- name: " not in text}
    assert declared == texts.keys() - parts
    assert {p for p in parts if not any(f"-- include: {p.stem}(" in t for t in texts.values())} == (
        set()
    )


def test_every_statement_loads_and_is_called_by_its_names():
    """All files of the package: their columns are used, and calls give what they take."""
    loaded = {key: file.load("durable") for key, file in sql_files().items()}
    wrong = []
    for module in modules():
        files = files_of(module)
        blocks = {
            name: statements.names(name)
            for file in files
            for statements in (loaded[file.package, file.path],)
            for name in statements
        }
        for name, given, line in calls(module) if files else ():
            takes = blocks.get(name, frozenset())
            if takes != given if None not in given else not given - {None} < takes:
                wrong.append((module.__name__, line, name, given, takes))
    assert wrong == []


def calls(module: ModuleType) -> Iterator[tuple[str, set[str | None], int]]:
    """The calls of `bind` in a module: block, the names that it is given, and where."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "bind"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value), {k.arg for k in node.keywords}, node.lineno


def test_the_list_of_kinds_for_runs_is_the_one_of_the_indexes():
    """A partial index serves only statements that name its list, in its order."""
    file = sql_files()["durable.store", "sql/graph_messages.sql"]
    listed = file.load("durable")["claim"]
    (named,) = set(re.findall(r"msg_type not in (\([^)]*\))", listed))
    migration = ROOT.joinpath("postgres/migrations/0001_runs.sql").read_text(encoding="utf-8")
    assert re.findall(r"msg_type not in (\([^)]*\))", migration) == [named]
