# ruff: noqa: E501 - what tests prove is wider than code
"""The shapes in which HotMesh's documentation gives its options, and what `deploy` writes."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from durable.descriptor.document import load
from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.hotmesh.settings import mesh_settings
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.integration.hotmesh.test_conformance_listening import FLOW


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _camel(database: Database, connection: dict[str, Any]) -> dict[str, Any]:
    retry = {"maximumAttempts": 2, "initialInterval": 0}
    return {
        "appId": "app",
        "namespace": database.schema,
        "guid": "engine-one",
        "logLevel": "warn",
        "engine": {"connection": connection, "retryPolicy": retry, "reclaimDelay": 5000},
        "workers": [
            {
                "topic": "work",
                "connection": connection,
                "callback": echo,
                "retryPolicy": retry,
                "reclaimDelay": 5000,
            }
        ],
    }


async def test_a_whole_configuration_as_one_dict(database: Database) -> None:
    """As HotMesh writes it, connection included: what it says holds, and one end stops all meshes."""
    was = logging.getLogger("durable").level
    connection = {"class": object, "options": {"connectionString": database.dsn}}
    mesh = await HotMesh.init(_camel(database, connection))
    other = await HotMesh.init(
        app_id="app", engine={"connection": connection}, namespace=database.schema
    )
    try:
        assert logging.getLogger("durable").level == logging.WARNING
        await mesh.deploy(FLOW)
        await mesh.activate("1")
        assert (await mesh.pubsub("t", {"id": "x"}, timeout=100))["metadata"]["js"] == 0
        profiles = await mesh.roll_call(delay=30)  # it returns once all have answered
        assert "engine-one" in {p["engine_id"] for p in profiles}
        worker = next(p for p in profiles if p.get("worker_topic"))
        assert worker["retry"]["maximumAttempts"] == 2
        assert await mesh.throttle(throttle=-1, guid="engine-one", topic="work")
        by_topic = {p.get("worker_topic"): p["throttle"] for p in await mesh.roll_call()}
        assert by_topic["work"] == -1
        assert await mesh.throttle(throttle=0)
        with pytest.raises(ConfigurationError, match="that serves topic 'else' has the guid"):
            await mesh.throttle(throttle=-1, guid="engine-one", topic="else")
        assert not HotMesh.disconnecting
    finally:
        logging.getLogger("durable").setLevel(was)
        await HotMesh.stop(grace=0)
    assert HotMesh.disconnecting
    assert (mesh._parts.host.stopped, other._parts.host.stopped) == (True, True)


async def test_a_connection_of_parts(database: Database) -> None:
    """Host, port, user, password and database make the same connection."""
    at = urlsplit(database.dsn)
    query = dict(part.split("=") for part in at.query.split("&")) if at.query else {}
    options = {
        "host": unquote(query.get("host", at.hostname or "")),
        "port": int(query.get("port", at.port or 5432)),
        "user": at.username,
        "database": at.path.lstrip("/"),
        **({"password": unquote(at.password)} if at.password else {}),
    }
    mesh = await HotMesh.init(
        app_id="app", engine={"connection": {"options": options}}, namespace=database.schema
    )
    assert await mesh.active_version() is None
    await mesh.stop(0)


ENGINE = {"connection": "postgresql://db/app"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "needs app_id"),
        ({"appId": "a", "app_id": "b", "engine": ENGINE}, "'app_id' twice"),
        ({"appId": "a", "engin": {}}, r"unknown options \['engin'\]"),
        ({"appId": "a", "engine": {**ENGINE, "retry": {}, "retryPolicy": {}}}, "'retry' twice"),
        ({"appId": "a", "engine": {**ENGINE, "reclaimDelay": -1}}, "must be a number from 0 on"),
        ({"appId": "a", "engine": ENGINE, "logLevel": "loud"}, "log_level='loud'"),
        ({"appId": "a", "engine": ENGINE, "guid": 7}, "guid=7"),
        ({"appId": "a", "engine": ENGINE, "workers": {"topic": "t"}}, "a list of dicts"),
        ({"appId": "a", "engine": {"connection": {"class": object}}}, 'needs "options"'),
        ({"appId": "a", "engine": {"connection": {"options": {}}}}, "name no database"),
        (
            {"appId": "a", "engine": {"connection": {"options": {"ssl": True, "host": "h"}}}},
            r"unknown keys \['ssl'\]",
        ),
        ({"appId": "a", "engine": {"connection": {"store": 1}}}, r"unknown keys \['store'\]"),
    ],
)
def test_options_that_make_no_sense(given: dict[str, Any], words: str) -> None:
    """Each is refused with its name, and what would be right."""
    with pytest.raises(ConfigurationError, match=words):
        mesh_settings(given, {})


@pytest.mark.parametrize("as_text", [True, False])
async def test_deploy_writes_the_resolved_document_beside_its_file(
    begin: Begin, tmp_path: Path, *, as_text: bool
) -> None:
    """JSON without any `$ref`, which can be deployed itself; nothing is written for text, or a document that is refused."""
    mesh = await begin(None)
    graph = FLOW.split("graphs:")[1].replace("\n    ", "\n").strip().removeprefix("- ")
    (tmp_path / "graph.yaml").write_text(graph.replace("\n  ", "\n"))
    path = tmp_path / "app.yaml"
    path.write_text("app: {id: app, version: '1', graphs: [{$ref: ./graph.yaml}]}\n")
    document = await mesh.deploy(str(path) if as_text else path)
    written = tmp_path / ".hotmesh.app.1.json"
    assert json.loads(written.read_text()) == document
    assert load(json.loads(written.read_text())) == load(path)
    path.write_text("app: {id: other, version: '2', graphs: [{$ref: ./graph.yaml}]}\n")
    with pytest.raises(ConfigurationError):
        await mesh.deploy(path)
    await mesh.deploy(FLOW.replace("version: '1'", "version: '3'"))
    assert _names(tmp_path) == [written.name, "app.yaml", "graph.yaml"]


async def test_deploy_where_nothing_can_be_written(
    begin: Begin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The version is deployed all the same, and a warning says which file is missing."""
    mesh = await begin(None)
    path = tmp_path / "app.yaml"
    await asyncio.to_thread(path.write_text, FLOW)
    (tmp_path / ".hotmesh.app.1.json").mkdir()  # nothing can take its place
    with caplog.at_level(logging.WARNING, "durable"):
        await mesh.deploy(path)
    assert "was not written beside" in caplog.text
    assert await mesh.activate("1")
    assert _names(tmp_path) == [".hotmesh.app.1.json", "app.yaml"]
