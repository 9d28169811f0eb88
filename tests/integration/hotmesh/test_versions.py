# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Deploying and activating: all or nothing, one moment, and jobs keep their version."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.engine.versions import deploy_generated
from durable.errors import (
    ConfigurationError,
    DescriptorError,
    DuplicateJob,
    PayloadError,
    SchemaMismatch,
)
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually


def versioned(version: int, answer: str | None = None) -> str:
    """An app that waits for its worker and then says which version it is."""
    return f"""
app:
  id: app
  version: '{version}'
  graphs:
    - subscribes: t
      publishes: t.done
      activities:
        t1: {{type: trigger, stats: {{id: '{{$self.input.data.id}}'}}}}
        w1: {{type: worker, topic: work}}
        e{version}: {{type: hook, job: {{maps: {{said: {answer or f"version {version}"}}}}}}}
      transitions: {{t1: [{{to: w1}}], w1: [{{to: e{version}}}]}}
"""


async def nothing(message: dict[str, Any]) -> None:
    """A callback that has nothing to say."""


async def test_nothing_runs_before_activation(begin: Begin) -> None:
    """A deployed version is not live: a start says that none is active."""
    mesh = await begin(None)
    await mesh.deploy(versioned(1))
    with pytest.raises(ConfigurationError, match="no version of app 'app' is active"):
        await mesh.pub("t", {})
    with pytest.raises(
        ConfigurationError, match="version 2 of app 'app' is not deployed; deployed are 1"
    ):
        await mesh.activate("2")


async def test_a_running_job_ends_on_its_own_version(begin: Begin) -> None:
    """Nine versions go live under running jobs: each job says the version that it began on."""
    gate = asyncio.Event()

    async def work(_message: dict[str, Any]) -> None:
        await gate.wait()

    mesh = await begin(None, work=work)
    waiting = []
    for version in range(1, 10):
        await mesh.deploy(versioned(version))
        await mesh.activate(str(version))
        waiting.append(asyncio.create_task(mesh.pubsub("t", {"id": f"v{version}"}, timeout=120)))
        await eventually(lambda v=version: _exists(mesh, f"v{v}"))  # type: ignore[misc]
    gate.set()
    outs = await asyncio.gather(*waiting)
    assert [o["data"]["said"] for o in outs] == [f"version {v}" for v in range(1, 10)]
    assert [o["metadata"]["vrs"] for o in outs] == [str(v) for v in range(1, 10)]


async def _exists(mesh: HotMesh, jid: str) -> bool:
    rows = await mesh._parts.inspection._jobs._db.fetch(
        f'select 1 from "{mesh.namespace}".jobs where jid = $1', jid
    )
    return bool(rows)


async def test_every_engine_switches_at_once(begin: Begin) -> None:
    """What another process activated is what the very next start runs on, whatever was cached."""
    first = await begin(versioned(1), work=nothing)
    second = await begin(None)
    assert (await second.pubsub("t", {"id": "a"}, timeout=100))["data"]["said"] == "version 1"
    await first.deploy(versioned(2))
    assert (await second.pubsub("t", {"id": "b"}, timeout=100))["data"]["said"] == "version 1"
    await first.activate("2")
    assert (await second.pubsub("t", {"id": "c"}, timeout=100))["data"]["said"] == "version 2"
    await first.activate("1")
    assert (await second.pubsub("t", {"id": "d"}, timeout=100))["data"]["said"] == "version 1"


async def test_deploying_is_idempotent_and_never_overwrites(
    begin: Begin, database: Database
) -> None:
    """The same content twice is once; other content under the same version is refused, and nothing changes."""
    mesh = await begin(versioned(1), work=nothing)
    await mesh.deploy(versioned(1))
    with pytest.raises(ConfigurationError, match="deployed with other content"):
        await mesh.deploy(versioned(1, "something else"))
    assert (await mesh.pubsub("t", {"id": "x"}, timeout=100))["data"]["said"] == "version 1"
    assert await database.fetchval(f'select count(*) from "{database.schema}".app_versions') == 1


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        (versioned(1).replace("{to: w1}", "{to: w7}"), DescriptorError, "w7"),
        (versioned(1).replace("topic: work", "topik: work"), DescriptorError, "topik"),
        (versioned(1).replace("id: app", "id: other"), ConfigurationError, "other"),
        ("app: [", DescriptorError, "line"),
    ],
)
async def test_a_document_that_does_not_hold_together_is_not_stored(
    begin: Begin, database: Database, document: str, error: type[Exception], words: str
) -> None:
    """Every finding is raised, and nothing at all is stored."""
    mesh = await begin(None)
    with pytest.raises(error, match=words):
        await mesh.deploy(document)
    for table in ("apps", "app_versions", "hook_rules"):
        assert await database.fetchval(f'select count(*) from "{database.schema}".{table}') == 0


async def test_plan_only_looks(begin: Begin, database: Database) -> None:
    """`plan` returns the document and stores nothing."""
    mesh = await begin(None)
    assert (await mesh.plan(versioned(3)))["app"]["version"] == "3"
    assert await database.fetchval(f'select count(*) from "{database.schema}".app_versions') == 0


async def test_concurrent_deployments_agree(begin: Begin, database: Database) -> None:
    """Ten processes that deploy the same version at the same time leave one."""
    mesh = await begin(None)
    await asyncio.gather(*(mesh.deploy(versioned(1)) for _ in range(10)))
    assert await database.fetchval(f'select count(*) from "{database.schema}".app_versions') == 1


async def test_an_id_is_taken_while_its_job_runs_and_until_it_expires(
    begin: Begin, database: Database
) -> None:
    """A second start of the id raises; of many at once one wins; after the expiry the id is free."""
    gate = asyncio.Event()

    async def work(_message: dict[str, Any]) -> None:
        await gate.wait()

    mesh = await begin(versioned(1), work=work)
    results = await asyncio.gather(
        *(mesh.pub("t", {"id": "same"}) for _ in range(10)), return_exceptions=True
    )
    assert results.count("same") == 1
    assert sum(isinstance(r, DuplicateJob) for r in results) == 9
    with pytest.raises(DuplicateJob, match="Duplicate job: same") as taken:
        await mesh.pub("t", {"id": "same"})
    assert taken.value.code == 409
    gate.set()
    await eventually(lambda: _ended(mesh))
    await database.fetch(
        f"update \"{database.schema}\".jobs set expires_at = expires_at - interval '1.1 s'"
    )
    assert await mesh.pub("t", {"id": "same"}) == "same"


async def _ended(mesh: HotMesh) -> bool:
    return await mesh.get_status("same") == 0


async def test_a_start_that_cannot_be_leaves_nothing(begin: Begin, database: Database) -> None:
    """Unknown topics and data that JSON cannot hold raise, and no job is there."""
    mesh = await begin(versioned(1))
    with pytest.raises(ConfigurationError, match="subscribes to 'tea'"):
        await mesh.pub("tea", {})
    with pytest.raises(PayloadError, match="set"):
        await mesh.pub("t", {"id": "x", "bad": {1, 2}})
    with pytest.raises(PayloadError):
        await mesh.pub("t", {"id": "x", "bad": float("nan")})
    assert await database.fetchval(f'select count(*) from "{database.schema}".jobs') == 0


GENERATED = """
app:
  id: orders
  version: 51c0ffee
  graphs:
    - subscribes: fulfil
      version: 7c1d09e2
      activities:
        .start: {type: trigger}
        fulfil: {type: worker, topic: fulfil, reentrant: true}
      transitions: {.start: [{to: fulfil}]}
"""


async def test_generated_descriptors_can_be_read_and_are_never_active(
    begin: Begin, database: Database
) -> None:
    """`deploy_generated` stores the text as it is, once per content, beside hand-written apps."""
    for _ in range(2):
        await deploy_generated(database, "orders", GENERATED, "51c0ffee")
    rows = await database.fetch(
        f'select app_id, version, descriptor, generated from "{database.schema}".app_versions'
    )
    assert [tuple(r) for r in rows] == [("orders", "51c0ffee", GENERATED, True)]
    mesh = await begin(None, app_id="orders")
    with pytest.raises(ConfigurationError, match="not deployed"):
        await mesh.activate("51c0ffee")
    with pytest.raises(ConfigurationError, match="orders"):
        await deploy_generated(database, "others", GENERATED, "51c0ffee")


async def test_what_an_earlier_release_stored_is_the_same_content(
    begin: Begin, database: Database
) -> None:
    """Its hash was made in another way; the document is compared, and other content refused."""
    await deploy_generated(database, "orders", GENERATED, "51c0ffee")
    await database.fetch(f"update \"{database.schema}\".app_versions set content_hash = '51c0ffee'")
    mesh = await begin(None, app_id="orders")
    await mesh.deploy(GENERATED)
    with pytest.raises(ConfigurationError, match="deployed with other content"):
        await mesh.deploy(GENERATED.replace("reentrant: true", "reentrant: true, priority: 1"))


async def test_subscribers_hear_of_every_end_once(begin: Begin) -> None:
    """All jobs on the graph's topic, one job on the topic with its id; failures of a subscriber stay its own."""
    mesh = await begin(versioned(1), work=nothing)
    other = await begin(None)
    heard: list[str] = []
    one: list[str] = []

    async def every(_topic: str, job: dict[str, Any]) -> None:
        heard.append(job["metadata"]["jid"])

    def broken(topic: str, _job: dict[str, Any]) -> None:
        raise ValueError(topic)

    await other.sub("t.done", broken)
    await other.sub("t.done", every)
    await other.sub("t.done.b", lambda _topic, job: one.append(job["data"]["said"]))
    with pytest.raises(ConfigurationError, match="publishes to 'nothing'"):
        await other.sub("nothing", every)
    for jid in "abc":
        await mesh.pub("t", {"id": jid})

    async def all_heard() -> bool:
        return len(heard) >= 3 and bool(one)

    await eventually(all_heard)
    assert sorted(heard) == ["a", "b", "c"]
    assert one == ["version 1"]
    await other.unsub("t.done")
    await mesh.pubsub("t", {"id": "d"}, timeout=100)
    assert "d" not in heard


async def test_a_reentrant_document_is_stored_and_never_active(
    begin: Begin, database: Database
) -> None:
    """What decorated functions generate can be deployed by hand, but not activated."""
    mesh = await begin(None)
    await mesh.deploy(GENERATED.replace("orders", "app"))
    row = await database.fetchrow(f'select generated from "{database.schema}".app_versions')
    assert row is not None
    assert row["generated"]
    with pytest.raises(ConfigurationError, match="generated from functions"):
        await mesh.activate("51c0ffee")


STALE = {
    "schema": "input: {schema: {type: object, required: [a]}, validate: true}, activities: {t1: {type: trigger, job: {maps: {v: old}}}, h: {type: hook, sleep: 60}}",
    "NaN": "activities: {t1: {type: trigger, job: {maps: {v: {'@pipe': [['{t1.output.data.b}', 1], ['{@math.multiply}']]}}}}, h: {type: hook, sleep: 60}}",
    "expire": "expire: '{t1.output.data.b}', activities: {t1: {type: trigger, job: {maps: {v: old}}}, h: {type: hook, sleep: 60}}",
}  # fmt: skip


@pytest.mark.parametrize("what", ["schema", "NaN", "expire"])
async def test_what_a_version_says_that_is_not_active_is_no_answer(begin: Begin, what: str) -> None:
    """Whatever the version raises that this process started on last, starts are judged by the active one only."""
    version = (
        "app: {id: app, version: '%s', graphs: [{subscribes: t, transitions: {t1: [{to: h}]}, %s}]}"
    )
    fine = "activities: {t1: {type: trigger, job: {maps: {v: new}}}, h: {type: hook, sleep: 60}}"
    mesh, other = await begin(version % (1, STALE[what])), await begin(None)
    good = {"a": 1, "b": 1 if what in ("NaN", "expire") else "1"}
    bad = {"b": "{"}
    await mesh.deploy(version % (2, fine))
    await mesh.pub("t", good)
    await other.activate("2")
    jid = await mesh.pub("t", bad)
    assert (await mesh.get_state("t", jid))["data"] == {"v": "new"}
    await other.activate("1")
    if what == "schema":
        with pytest.raises(SchemaMismatch):
            await mesh.pub("t", bad)
