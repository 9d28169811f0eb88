"""Results by the id of a run: typed by its workflow, else plain data; runs that never return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Never, NoReturn

import pytest
from pydantic import BaseModel, BeforeValidator, PlainSerializer

import durable
from durable.client.client import Client
from durable.worker.worker import Worker

MARK = "__fields_set__"


def closed(text: str) -> str:
    """As it is stored: a stand-in for encryption."""
    return "~" + text[::-1]


def opened(text: str) -> str:
    """The inverse; what was never closed stays as it is."""
    return text[:0:-1] if text.startswith("~") else text


Sealed = Annotated[str, BeforeValidator(opened), PlainSerializer(closed)]


class Reply(BaseModel):
    """A model that is usually given in part."""

    text: Sealed
    calls: list[str] = []


go = durable.Signal("go", Reply)


@durable.activity
async def answer(question: Reply) -> Reply:
    """Another model, given in part."""
    return Reply(text=question.text.upper())


@durable.workflow
async def ask(question: Reply) -> list[Reply]:
    """What was received, and an answer to what was given."""
    return [await go.receive(), await answer(question)]


@durable.workflow
async def own_keys() -> dict[str, list[str]]:
    """A dict that happens to have a key of ours, and no such fields."""
    return {MARK: ["text"]}


async def test_a_handle_by_id_is_as_typed_as_its_workflow(client: Client) -> None:
    """With the workflow a result is read as its type; another workflow's is refused."""
    async with Worker(client, workflows=[ask], activities=[answer]):
        begun = await client.start(ask(Reply(text="why")), id="a")
        await client.handle("a", ask).signal(go, Reply(text="so"))
        expected = [Reply(text="so"), Reply(text="WHY")]
        assert await begun.result(timeout=60) == expected
    found = await client.handle("a", ask).result(timeout=60)
    assert found == expected
    assert [reply.model_fields_set for reply in found] == [{"text"}, {"text"}]
    with pytest.raises(durable.ConfigurationError, match=r"'a' is one of the workflow 'ask'.*'own"):
        await client.handle("a", own_keys).result()
    with pytest.raises(durable.ConfigurationError, match="takes an id and, if you like, the work"):
        client.handle("a", "ask")  # type: ignore[call-overload]


async def test_without_its_type_a_value_has_no_marks_of_ours(client: Client) -> None:
    """Results, descriptions and histories tell what was written, not which fields were given."""
    async with Worker(client, workflows=[ask, own_keys], activities=[answer]):
        handle = await client.start(ask(Reply(text="why")), id="a")
        await handle.signal(go, Reply(text="so"))
        await handle.result(timeout=60)
        assert await client.execute(own_keys(), id="b") == {MARK: ["text"]}
    plain = [{"text": "~os", "calls": []}, {"text": "~YHW", "calls": []}]
    assert await client.handle("a").result() == plain
    told = await client.handle("a").describe()
    assert told.output == plain
    assert told.input == {"question": {"text": "~yhw", "calls": []}}
    events = await client.handle("a").history()
    assert MARK not in str([(e.input, e.data) for e in events if e.kind != "started"])
    assert await client.handle("b").result() == {MARK: ["text"]}


@dataclass
class Point:
    """No plain data."""

    x: int


async def test_a_workflow_is_executed_by_its_name(client: Client) -> None:
    """As it is started; what is no plain data is refused with what to give instead."""
    async with Worker(client, workflows=[ask, own_keys], activities=[answer]):
        assert await client.execute("own_keys") == {MARK: ["text"]}
        with pytest.raises(
            durable.PayloadError, match=r"by its name: at args\[0\].*such as a dict"
        ):
            await client.execute("ask", Point(1))
        handle = await client.start(ask(Reply(text="why")), id="a")
        with pytest.raises(durable.PayloadError, match=r"by name: at payload.*such as a dict"):
            await handle.signal("go", Point(1))
        await handle.terminate()


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def refuse(why: str) -> NoReturn:
    """Never returns."""
    raise ValueError(why)


@durable.workflow
async def for_ever() -> Never:
    """Ends by its failure only."""
    await refuse("no")


async def test_functions_that_never_return_may_say_so(client: Client) -> None:
    """`NoReturn` and `Never` are results like None: there is none to write."""
    async with Worker(client, workflows=[for_ever], activities=[refuse]):
        with pytest.raises(durable.WorkflowFailed, match="refuse failed after 1 attempt"):
            await client.execute(for_ever())
    with pytest.raises(ValueError, match="no"):
        await refuse("no")
