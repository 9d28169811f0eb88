"""The front door: what `import durable` gives is what `__all__` says, and each has a docstring."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import durable

ROOT = Path(__file__).parents[2]
# What pydantic brings.
MODELS = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
AUTHORING = {
    "authoring", "codec", "errors", "protocol", "replay", "runtime", "telemetry",
}  # fmt: skip

INNER = {("authoring", "compiler"), ("descriptor", "expressions")}  # rooms within rooms


def loaded_by(statement: str) -> tuple[set[str], set[str]]:
    """The rooms, those within as "room.room", and others' packages that it has loaded."""
    script = (
        f"import sys; before = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = done.stdout.split()
    assert "durable" in modules
    packages = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    own = [name.split(".")[1:] for name in modules if name.startswith("durable.")]
    rooms = {name[0] for name in own}
    rooms |= {".".join(name[:2]) for name in own if tuple(name[:2]) in INNER}
    # What is written in Cython leaves modules of the compiler's own.
    return rooms, {n for n in packages if not n.startswith(("_", "cython"))} - {"durable"}


def test_importing_durable_loads_no_room():
    """`import durable` is a table of names: no room, and no package of anybody else."""
    assert loaded_by("import durable") == (set(), set())


@pytest.mark.parametrize(
    "statement",
    [
        "from durable import workflow, activity",
        "import durable\n@durable.workflow\nasync def f(): 1",
    ],
)
def test_a_module_of_workflows_loads_what_they_are_written_with(statement: str):
    """Neither driver nor engine nor YAML: what replays, and pydantic for the arguments."""
    assert loaded_by(statement) == (AUTHORING, MODELS)


def test_errors_load_alone():
    """Whoever only catches loads one module."""
    assert loaded_by("from durable import WorkflowFailed") == ({"errors"}, set())


def test_clients_and_workers_load_no_graph_engine():
    """A connection and a worker need the driver; YAML, spans and graphs wait until asked for."""
    rooms, packages = loaded_by("from durable import connect, Client, Worker, workflow, activity")
    assert packages == {*MODELS, "asyncpg", "tenacity"}
    assert rooms.isdisjoint({"hotmesh", "authoring.compiler", "descriptor.expressions", "cli"})


def test_rooms_are_there_without_being_imported():
    """`durable.errors` and the other rooms are reached by attribute, as they always were."""
    assert loaded_by("import durable; durable.errors.JobFailed") == ({"errors"}, set())
    with pytest.raises(AttributeError, match="module 'durable' has no attribute 'wokflow'"):
        _ = durable.wokflow  # type: ignore[attr-defined]
    assert not hasattr(durable, "__wrapped__")


def test_a_room_that_lacks_an_import_says_so():
    """A package that is missing is what the error names, not the room that needs it."""
    script = "import sys; sys.modules['asyncpg'] = None; import durable; durable.composition"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "import of asyncpg halted" in done.stderr


def test_everything_is_listed_and_star_imports_it():
    """`dir()` and `from durable import *` give what `__all__` names, loaded or not."""
    assert dir(durable) == durable.__all__
    script = "from durable import *\nimport durable\nassert set(durable.__all__) <= set(globals())"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    assert len(set(durable.__all__)) == len(durable.__all__)


def test_errors_survive_pickling_in_a_fresh_interpreter():
    """A process that has imported nothing unpickles an error, as process pools do."""
    data = pickle.dumps(durable.WorkflowNotFound("order-1"))
    script = f"import pickle; e = pickle.loads({data!r}); print(type(e).__name__, e)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"WorkflowNotFound {durable.WorkflowNotFound('order-1')}\n"


def test_what_is_exported_is_documented():
    """Each class and function that users get says what it is."""
    for name in durable.__all__:
        value = getattr(durable, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


@pytest.mark.parametrize(
    "given", [3, object(), {"password": "secret"}], ids=["number", "object", "dict"]
)
async def test_what_names_no_database_is_refused(given: object) -> None:
    """Neither text nor a pool: the error says what there may be, and repeats no password."""
    with pytest.raises(durable.ConfigurationError, match="give text, such as") as refused:
        await durable.connect(given)  # type: ignore[call-overload, arg-type, unused-ignore]
    assert "secret" not in str(refused.value)
