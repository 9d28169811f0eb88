"""The generated descriptor: accepted, deterministic, readable, and clear about what it refuses."""

import copy
import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from durable.authoring.activity import activity
from durable.authoring.compiler.generate import generate
from durable.authoring.workflow import workflow
from durable.codec.signature import Signature
from durable.descriptor.command_plan import options_of
from durable.descriptor.document import content_hash, dump, load, plain
from durable.descriptor.hashes import Hashes
from durable.descriptor.model import Worker
from durable.descriptor.parts import Part, Retry
from durable.descriptor.plan import compile_graph
from durable.errors import ConfigurationError, DefinitionError
from durable.protocol.options import WorkflowOptions
from durable.protocol.retry import RetryPolicy
from durable.replay.definitions import WorkflowDefinition


class Order(BaseModel):
    """What is ordered."""

    title: str
    items: list[int] = []


class Receipt(BaseModel):  # what pydantic says of a dataclass differs between its releases
    """What is given for a charge."""

    id: str


class Opaque:
    """Something that pydantic knows nothing about."""


@activity(retry=RetryPolicy(maximum_attempts=5, backoff_coefficient=2, maximum_interval="5 min"))
async def charge(order: Order) -> Receipt: ...


@activity(start_to_close_timeout="90s", task_queue="gpu", priority=2)
def refund(receipt: Receipt) -> None: ...


@workflow
async def fulfil(order: Order, *, express: bool = False) -> Receipt: ...


@workflow(name="orders.cancel", priority=1)
async def cancel(order: str) -> None: ...


DOCUMENT = Path(__file__).with_name("generated.yaml")


def test_the_document_is_what_a_person_would_write() -> None:
    """The text is the documented one: schemas, policies, generated ids and transitions."""
    made = generate("orders", [fulfil.definition], [refund.definition, charge.definition])
    text = DOCUMENT.read_text("utf-8")
    expected = text.replace("VERSION", made.version).replace("GRAPH", made.versions["fulfil"])
    assert made.document() == expected


def test_the_text_reads_back_as_the_data_and_compiles() -> None:
    """`load` takes the text for the very data, and the engine's plan has what is shared too."""
    made = generate(
        "orders", [fulfil.definition, cancel.definition], [charge.definition, refund.definition]
    )
    app = load(made.document())
    assert plain(app) == made.data["app"]
    assert dump(app) == made.document()
    assert content_hash(app) == made.version
    plans = {graph.subscribes: compile_graph(app, graph) for graph in app.graphs}
    assert plans.keys() == {"fulfil", "orders.cancel"}
    assert plans["fulfil"].version == made.versions["fulfil"]
    assert plans["fulfil"].nodes["charge"].ancestors == (".start", "fulfil")
    policy = plans["fulfil"].nodes["charge"].retry
    assert policy is not None
    assert (policy.maximum_attempts, policy.delay(9)) == (5, 300)


def test_order_of_registration_does_not_matter() -> None:
    """Every order of the same definitions, doubled or not, gives the same text and versions."""
    flows, steps = [fulfil.definition, cancel.definition], [charge.definition, refund.definition]
    made = {
        generate("q", f, [*s, *s]).document()
        for f in itertools.permutations(flows)
        for s in itertools.permutations(steps)
    }
    assert len(made) == 1


def test_versions_follow_the_content() -> None:
    """A graph's version changes with what stands in it only; the app's with any of them."""
    both = generate("q", [fulfil.definition, cancel.definition], [charge.definition])
    alone = generate("q", [fulfil.definition], [charge.definition])
    more = generate("q", [fulfil.definition], [charge.definition, refund.definition])
    elsewhere = generate("other", [fulfil.definition], [charge.definition])
    assert both.versions["fulfil"] == alone.versions["fulfil"] == elsewhere.versions["fulfil"]
    assert more.versions["fulfil"] != alone.versions["fulfil"]
    versions = {both.version, alone.version, more.version, elsewhere.version}
    assert len(versions) == 4
    assert {len(v) for v in (*versions, *both.versions.values())} == {16}


def test_what_a_release_adds_does_not_count() -> None:
    """Activities that begin with a dot may change with durable itself; signals are the user's."""
    made = generate("q", [fulfil.definition], [charge.definition])
    app = copy.deepcopy(made.data["app"])
    graph = app["graphs"][0]
    del graph["activities"][".timer"], graph["transitions"]["fulfil"][2]
    graph["activities"][".activity"]["priority"] = 5
    assert (Hashes(app).app, Hashes(app).graphs) == (made.version, made.versions)
    graph["activities"][".signal"]["hook"]["schema"] = {"type": "object"}
    assert Hashes(app).graphs != made.versions


def test_the_size_grows_with_what_there_is() -> None:
    """Sixty workflows beside 150 activities: each stands once, and no model is validated."""
    flows = [dataclasses.replace(fulfil.definition, name=f"flow{n}") for n in range(60)]
    steps = [dataclasses.replace(charge.definition, name=f"step{n}") for n in range(150)]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("__init__", "model_validate", "model_construct"):
            patch.setattr(Part, name, _built)
        patch.setattr("durable.descriptor.layout.to_yaml", _built)
        made = generate("q", flows, steps)
    size = len(json.dumps(made.data))
    alone = len(json.dumps(generate("q", flows, []).data))
    shared = len(json.dumps(generate("q", [], steps).data))
    assert size <= alone + shared
    assert len(made.data["app"]["shared"]["activities"]) == 150
    assert {len(graph["activities"]) for graph in made.data["app"]["graphs"]} == {7}


def test_generating_loads_neither_models_nor_yaml() -> None:
    """They take longer to load than a worker takes to generate: only `document` needs them."""
    code = (
        "import sys, durable.authoring.compiler.generate;"
        " print(*sorted({'yaml', 'durable.descriptor.model', 'durable.descriptor.parts',"
        " 'durable.descriptor.document'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def _built(*_args: object, **_kwargs: object) -> None:
    raise AssertionError("a model or a text was built")


def test_equal_policies_have_one_spelling() -> None:
    """Durations are normalised, so that "5 min" and 300 are one version; defaults are left out."""
    usual = charge.options(retry=RetryPolicy(3, 10, 120.0))
    silent = charge.options(retry=RetryPolicy())
    made = generate("q", [fulfil.definition], [usual.definition])
    assert made == generate("q", [fulfil.definition], [silent.definition])
    assert made.data["app"]["shared"]["activities"]["charge"] == {
        "type": "worker", "topic": "charge",
    }  # fmt: skip
    full = charge.options(
        retry=RetryPolicy(2, 1.5, "1 min", initial_interval=0.25, non_retryable=(ValueError, "No"))
    )
    shared = load(generate("q", [fulfil.definition], [full.definition]).data).shared
    assert shared is not None
    worker = shared.activities["charge"]
    assert isinstance(worker, Worker)
    assert isinstance(worker.retry, Retry)
    assert worker.retry.policy() == RetryPolicy(2, 1.5, "60s", 0.25, ("builtins:ValueError", "No"))


def test_a_type_without_schema_is_left_open() -> None:
    """What pydantic cannot describe has an empty schema, and does not stop the deployment."""

    @workflow
    async def odd(what: Opaque) -> Opaque: ...

    @workflow
    async def odder(call: Any, limit: float = float("inf")) -> float: ...

    made = generate("q", [odd.definition, odder.definition], [])
    graph = made.data["app"]["graphs"][0]
    assert (graph["input"], graph["output"]) == ({"schema": {}}, {"schema": {}})
    assert plain(load(made.document())) == made.data["app"]


def test_a_field_named_title_stays() -> None:
    """Only the titles that pydantic makes of names are left out; a field of that name is not."""
    made = generate("q", [fulfil.definition], [])
    schema = made.data["app"]["graphs"][0]["input"]["schema"]
    assert schema["$defs"]["Order"]["properties"]["title"] == {"type": "string"}
    assert "title" not in schema


def test_a_workflow_and_an_activity_cannot_share_a_name() -> None:
    """The error names the name, both places, and what to do."""

    @activity(name="fulfil")
    async def other() -> None: ...

    with pytest.raises(DefinitionError, match=r"both named 'fulfil'.*give one of them name=") as e:
        generate("q", [fulfil.definition], [other.definition])
    assert fulfil.definition.site in str(e.value)
    assert other.definition.site in str(e.value)


def test_two_definitions_cannot_share_a_name() -> None:
    """Two functions, or one with two sets of options, under one name: both places are named."""

    @activity(name="charge")
    async def other() -> None: ...

    for twin in (other, charge.options(priority=7)):
        with pytest.raises(DefinitionError, match="activity 'charge' is defined twice, at") as e:
            generate("q", [fulfil.definition], [charge.definition, twin.definition])
        assert twin.definition.site in str(e.value)


def test_activities_alone_have_no_graph() -> None:
    """A queue with activities only has them in what is shared; one with nothing is refused."""
    made = generate("gpu", [], [charge.definition])
    app = load(made.document())
    assert app.graphs == ()
    assert app.shared is not None
    assert list(app.shared.activities) == ["charge"]
    assert (content_hash(app), made.versions) == (made.version, {})
    with pytest.raises(DefinitionError, match="'gpu' has neither workflows nor activities"):
        generate("gpu", [], [])


@pytest.mark.parametrize(
    "name", ["a b", "a{b", "it's", "$self", "@pipe", "a.output", "x.hook.y", ".dot", "x" * 201, ""]
)
def test_names_that_no_id_can_be(name: str) -> None:
    """A name that would break the graph's language is refused, with the place of the function."""
    step = dataclasses.replace(charge.definition, name=name, site="f.py:3")
    with pytest.raises(DefinitionError, match=r"f\.py:3: the activity's name .*: give it name="):
        generate("q", [fulfil.definition], [step])


def test_a_queue_that_no_app_can_be_called() -> None:
    """The queue's name becomes the app's id, and is held to it."""
    with pytest.raises(DefinitionError, match="a queue's name has no blanks"):
        generate("my queue", [fulfil.definition], [])


LENGTHS = st.floats(0, 1e12, exclude_min=True) | st.integers(1, 10**12)
POLICIES = st.builds(
    RetryPolicy,
    maximum_attempts=st.none() | st.integers(1, 2**31 - 1),
    backoff_coefficient=st.floats(1, 1e300) | st.integers(1, 100),
    maximum_interval=LENGTHS | st.just(0),
    initial_interval=st.none() | LENGTHS | st.just(0),
    non_retryable=st.lists(st.sampled_from([ValueError, "Declined", "shop:Declined", ""])).map(
        tuple
    ),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "retry": POLICIES,
            "task_queue": st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
            "priority": st.integers(-32_767, 32_767),
            "start_to_close_timeout": st.none() | LENGTHS,
            "schedule_to_close_timeout": st.none() | LENGTHS,
            "schedule_to_start_timeout": st.none() | LENGTHS,
            "heartbeat_timeout": st.none() | LENGTHS,
        },
    )
)
def test_any_options_can_be_written(options: Any) -> None:
    """Whatever a decorator takes is written so that it is accepted, and read back the same."""
    try:
        step = charge.options(**options).definition
    except ConfigurationError:  # a task queue that has blanks around it, for one
        return
    made = generate("q", [], [step])
    load(made.document())
    stated, meant = options_of(made.data["app"]["shared"]["activities"]["charge"]), step.options
    usual = RetryPolicy()
    assert dataclasses.replace(stated, retry=usual) == dataclasses.replace(meant, retry=usual)
    assert stated.retry.maximum_attempts == meant.retry.maximum_attempts
    delays = [[policy.delay(n) for n in (1, 2, 9)] for policy in (stated.retry, meant.retry)]
    assert delays[0] == delays[1]
    names = tuple(filter(None, meant.retry.non_retryable_names))
    assert stated.retry.non_retryable_names == names


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_any_name_is_refused_or_works(name: str) -> None:
    """Whatever a definition is called, it is refused, or gives a document that is accepted."""

    async def fn() -> None: ...

    shape = Signature(fn)
    flow = WorkflowDefinition(name, fn, shape, WorkflowOptions(), "f.py:1")
    step = dataclasses.replace(charge.definition, name=f"{name}!")
    try:
        made = generate("q", [flow], [step])
    except DefinitionError as error:
        assert "give it name=" in str(error)  # noqa: PT017 - either outcome is right
        return
    app = load(made.document())
    assert plain(app) == made.data["app"]
    compile_graph(app, app.graphs[0])
