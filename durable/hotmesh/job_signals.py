"""What reaches jobs from outside: signals to hooks, and answers of open activities."""

from __future__ import annotations

from uuid import UUID

from durable.engine.signals import Signals
from durable.engine.steps.graph_rows import reply_from
from durable.errors import ConfigurationError
from durable.hotmesh.function_signals import FunctionSignals
from durable.protocol.graphs import Data
from durable.protocol.ids import request_named
from durable.protocol.limits import check_fields
from durable.protocol.messages import MessageKind


class JobSignals:
    """Signals the jobs of one app, and answers their open activities."""

    def __init__(self, app_id: str, signals: Signals, functions: FunctionSignals) -> None:
        self._app_id = app_id
        self._signals = signals
        self._functions = functions

    async def send(
        self, topic: str, data: Data, status: str, code: int, request_id: str | None
    ) -> str:
        """Signal a hook; the id of the signal's message."""
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

    async def answer(self, message: Data, request_id: str | None) -> str:
        """Answer an open activity, as its callback would; the id of the answer's message."""
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


def requested(name: str | None, *where: str) -> UUID | None:
    """The request id for what a caller has chosen, None where it chose nothing.

    Raises `ConfigurationError` for what is no text.
    """
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"request_id={name!r} must be text, such as 'order-17-paid'")
    return request_named(name, *where)
