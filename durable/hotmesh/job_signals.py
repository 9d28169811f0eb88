"""What reaches jobs from outside: signals to hooks, and answers of open activities."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from durable.engine.signals import Signals
from durable.engine.statistics import Statistics
from durable.engine.steps.graph_rows import reply_from
from durable.errors import ConfigurationError
from durable.hotmesh.function_signals import FunctionSignals
from durable.protocol.codes import OK
from durable.protocol.graphs import Data
from durable.protocol.ids import request_named
from durable.protocol.limits import check_fields, check_several
from durable.protocol.messages import MessageKind


class JobSignals:
    """Signals the jobs of one app, and answers their open activities."""

    def __init__(
        self, app_id: str, signals: Signals, functions: FunctionSignals, statistics: Statistics
    ) -> None:
        self._app_id = app_id
        self._signals = signals
        self._functions = functions
        self._statistics = statistics

    async def hook(
        self,
        topic: str,
        data: Data,
        status: str = "success",
        code: int = OK,
        *,
        request_id: str | None = None,
    ) -> str:
        """Signal a hook; the id of the signal's message.

        With code 202 (status "pending") the hook goes on waiting for more.

        Args:
            topic: at which it waits.
            data: plain data, in which the rules of the topic find which job it is for.
            status: "success", "pending" or "error": how the hook is answered.
            code: the code that its transitions compare.
            request_id: any text: a further call with the same topic and `request_id` sends nothing,
                as long as the first signal or its job is kept.

        A signal that comes before anybody waits is kept; one that names a job which has ended (by
        its id) is put aside, and no later job of that id gets it. When the connection breaks, it is
        sent again, and arrives once.

        Raises `ConfigurationError` for a topic at
        which no hook waits, and for data that lacks what the hook's rules compare.

        Example:
            await mesh.hook("ticket.answered", {"id": "t1", "text": "it is not"})
        """
        request = requested(request_id, "hook", self._app_id, topic)
        if (workflow := await self._functions.workflow_of(topic)) is not None:
            return await self._functions.send(workflow, data, (status, code), request)
        answer = {
            "data": check_fields("data", data, f"the signal on {topic!r}"),
            "status": None if status == "success" else status,
            "code": code,
        }
        reply = reply_from(MessageKind.WEBHOOK, answer, f"the signal on {topic!r}")
        request = requested(request_id, "hook", self._app_id, topic)
        return str(await self._signals.send(self._app_id, topic, reply, request))

    async def add(self, message: Data, *, request_id: str | None = None) -> str:
        """Answer an open activity, as its callback would; the id of the answer's message.

        Args:
            message: `metadata` says which activity it is for: jid, aid, dad; `data`, `status` and
                `code` are as callbacks return them.
            request_id: any text: a further call for the same job with it sends nothing, as long as
                the job is kept.

        When the connection breaks, it is sent again, and arrives once.

        Raises `JobNotFound` when that job does not run, `ConfigurationError` when the metadata do
        not say whom it is for.

        Example:
            at = {"jid": "t3", "aid": "wait", "dad": ",0,0,0"}
            await mesh.pub("ticket.open", {"id": "t3", "text": "hello"})
            await mesh.add({"metadata": at, "data": {"text": "hello"}})
        """
        what = "the answer of add()"
        message = check_fields("message", message, what)
        metadata = check_fields("metadata", message.get("metadata", {}), what)
        if missing := sorted({"jid", "aid", "dad"} - metadata.keys()):
            raise ConfigurationError(
                f"the message's metadata lacks {missing}, which say whom it is for"
            )
        at = (metadata["aid"], metadata["dad"])
        reply = reply_from(MessageKind.RESPONSE, message, f"the answer for {at[0]!r}")
        request = requested(request_id, "add", self._app_id, metadata["jid"], *at)
        return str(await self._signals.answer(self._app_id, metadata["jid"], at, reply, request))

    async def hook_all(
        self,
        topic: str,
        data: Data,
        query: Data,
        facets: Sequence[str] = (),
    ) -> list[str]:
        """Signal every job that has one of the facets, each once, at the hook of a topic.

        A job gets `data` with its own id as `id`; if it does not wait there yet, the signal is kept
        for it. The engines do it, some hundred jobs at a time; no crash makes them forget or repeat
        one. With `scrub` in the query these jobs have the facets no longer afterwards.

        Args:
            topic: at which the jobs wait.
            data: plain data, as for `hook`.
            query: as for `get_stats`, and `scrub`.
            facets: `name:value` each.

        Returns the indexes that name the jobs, `key:time:index:facet`; [] when there is none.

        Raises `ConfigurationError` for a topic at which no hook waits, for data that lack what its
        rules compare, and as `get_ids` does.

        Example:
            who = ["text:my bill"]
            indexes = await mesh.hook_all("ticket.answered", {"text": "closed"}, {}, who)
            print(indexes)
            # → ['tickets:0:index:text:my bill']
        """
        named = check_several("facets", facets, "mesh.hook_all()")
        return await self._statistics.signal_all(topic, data, query, named)


def requested(name: str | None, *where: str) -> UUID | None:
    """The request id for what a caller has chosen, None where it chose nothing.

    Raises `ConfigurationError` for what is no text.
    """
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"request_id={name!r} must be text, such as 'order-17-paid'")
    return request_named(name, *where)
