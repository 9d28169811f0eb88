"""The workflow's logger: says each thing once, though the code runs again at every replay."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, Final

from durable.replay.context import current
from durable.telemetry.logs import durable_logger


class WorkflowLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that is silent during replay and adds the run to each record.

    Records carry `workflow`, `workflow_id` and `run_id`. Outside of a workflow it just logs.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Whether a record of this level would be written now."""
        context = current()
        return (context is None or not context.replaying) and super().isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run to the record's extras; what the caller gave wins."""
        context = current()
        if context is not None:
            me = context.info()
            run = {"workflow": me.workflow, "workflow_id": me.id, "run_id": me.run_id}
            kwargs["extra"] = {**run, **(kwargs.get("extra") or {})}
        return msg, kwargs


logger: Final = WorkflowLogger(durable_logger("durable.workflow"), {})
"""For workflow code. Silent during replay; configure it as the logger "durable.workflow"."""
