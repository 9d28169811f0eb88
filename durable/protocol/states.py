"""The states that a run can be in."""

from __future__ import annotations

from typing import Final, Literal, get_args

RunState = Literal["running", "suspended", "completed", "failed", "cancelled", "terminated"]
"""One word on how a run stands: the first two are of open runs, the others of ended ones."""

RUN_STATES: Final[tuple[RunState, ...]] = get_args(RunState)
