"""The command plans of what a worker serves, one for each workflow and deployment of edits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from durable.descriptor.command_plan import CommandPlan, compile_commands
from durable.descriptor.edits import Edit, Edited, lay_over
from durable.replay.definitions import ActivityDefinition
from durable.telemetry.logs import logger
from durable.worker.worker_services import Deployed, Deployer


class CommandPlans:
    """How the commands of runs are carried out, by the descriptor that this worker generated.

    Args:
        deployed: what the worker generated.
        deployer: reads what operators changed of it.
        activities: those that it registers, by name.

    Attributes:
        open_edit: the deployment that runs of earlier ones follow too, as far as is known here.
    """

    def __init__(
        self, deployed: Deployed, deployer: Deployer, activities: Mapping[str, ActivityDefinition]
    ) -> None:
        self.open_edit = 0
        self._deployed = deployed
        self._deployer = deployer
        self._declared = {name: activity.options for name, activity in activities.items()}
        self._edited: dict[int, Edited] = {0: Edited(deployed.app, (), ())}
        self._plans: dict[tuple[str, int], CommandPlan] = {}

    async def note(self, member: int) -> None:
        """Note in the database which descriptor a member serves."""
        await self._deployer.serve(member, self._deployed)

    def in_force(self, edit: int) -> int:
        """The deployment that a run follows which was claimed under `edit`."""
        return max(edit, self.open_edit)

    async def know(self, numbers: Iterable[int]) -> None:
        """Read the deployments of these numbers, as far as they are not known yet."""
        missing = sorted(set(numbers) - self._edited.keys())
        if not missing:
            return
        read = await self._deployer.edits(self._deployed.queue, missing)
        for number in missing:
            self._keep(number, read.get(number, ()))

    async def open(self, edit: int) -> None:
        """Have runs of earlier deployments follow this one."""
        await self.know((edit,))
        self.open_edit = edit

    def plan(self, workflow: str, edit: int) -> CommandPlan:
        """The plan of a workflow on a deployment that is known."""
        found = self._plans.get((workflow, edit))
        if found is None:
            found = self._plans[workflow, edit] = compile_commands(
                self._deployed.app, self._edited[edit], workflow, edit, self._declared
            )
        return found

    def _keep(self, number: int, edits: Sequence[Edit]) -> None:
        edited = lay_over(self._deployed.app, edits)
        for edit in edited.inert:
            logger.info(
                "task queue %r: this worker's descriptor has no %s, which deployment %d edits;"
                " that holds where activities are called that other workers register",
                self._deployed.queue, edit.path, number,
            )  # fmt: skip
        for edit, built in edited.contested:
            logger.warning(
                "task queue %r: %s is %r by deployment %d, which edited %r; this build says %r."
                " The edit holds until `durable deploy --reset`",
                self._deployed.queue, edit.path, edit.value, number, edit.base, built,
            )  # fmt: skip
        # Kept for as long as the worker lives: there are no more than operators have deployed.
        self._edited[number] = edited
