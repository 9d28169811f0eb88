"""The methods of `HotMesh` that answer activities which wait: signals, and further answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from durable.engine.signals import Signals
from durable.engine.steps.graph_rows import reply_from
from durable.errors import ConfigurationError
from durable.protocol.codes import OK
from durable.protocol.ids import request_named
from durable.protocol.limits import check_fields


class Signalling:
    """What comes to a job from outside."""

    app_id: str
    _signals: Signals

    async def hook(
        self,
        topic: str,
        data: Mapping[str, Any],
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
        answer = {
            "data": check_fields("data", data, f"the signal on {topic!r}"),
            "status": None if status == "success" else status,
            "code": code,
        }
        reply = reply_from("webhook", answer, f"the signal on {topic!r}")
        request = requested(request_id, "hook", self.app_id, topic)
        return str(await self._signals.send(self.app_id, topic, reply, request))

    async def add(self, message: Mapping[str, Any], *, request_id: str | None = None) -> str:
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
        who = "the answer of add()"
        message = check_fields("message", message, who)
        metadata = check_fields("metadata", message.get("metadata", {}), who)
        if missing := sorted({"jid", "aid", "dad"} - metadata.keys()):
            raise ConfigurationError(
                f"the message's metadata lacks {missing}, which say whom it is for"
            )
        at = (metadata["aid"], metadata["dad"])
        reply = reply_from("response", message, f"the answer for {at[0]!r}")
        request = requested(request_id, "add", self.app_id, metadata["jid"], *at)
        return str(await self._signals.answer(self.app_id, metadata["jid"], at, reply, request))


def requested(name: str | None, *where: str) -> UUID | None:
    """The request id for what a caller has chosen, None where it chose nothing.

    Raises `ConfigurationError` for what is no text.
    """
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"request_id={name!r} must be text, such as 'order-17-paid'")
    return request_named(name, *where)
