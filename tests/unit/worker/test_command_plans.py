"""Command plans of a worker: each run goes by the deployment that it follows."""

from __future__ import annotations

from collections.abc import Sequence

from durable.authoring.activity import activity
from durable.authoring.compiler.generate import generate
from durable.authoring.workflow import workflow
from durable.descriptor.edits import SHARED, Edit
from durable.protocol.commands import StartActivity
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition
from durable.worker.command_plans import CommandPlans
from durable.worker.worker_services import Deployed


@activity
async def charge() -> None:
    """What the edits are of."""


@workflow
async def sell() -> None:
    """Calls it."""


class Priorities:
    """Deployments of which number n sets the priority of `charge` to n."""

    async def deploy(
        self, queue: str, workflows: Sequence[WorkflowDefinition],
        activities: Sequence[ActivityDefinition],
    ) -> Deployed:  # fmt: skip
        """The descriptor of the two."""
        generated = generate(queue, workflows, activities)
        return Deployed(queue, generated.version, generated.data["app"])

    async def edits(self, queue: str, numbers: Sequence[int]) -> dict[int, list[Edit]]:
        """One edit each."""
        assert queue == "shop"
        return {n: [Edit(SHARED, "charge", "priority", n, None)] for n in numbers}

    async def serve(self, member: int, deployed: Deployed) -> None:
        """Nothing is noted."""


async def _plans() -> CommandPlans:
    deployer = Priorities()
    deployed = await deployer.deploy("shop", [sell.definition], [charge.definition])
    return CommandPlans(deployed, deployer, {"charge": charge.definition})


async def test_every_deployment_that_was_read_can_be_followed() -> None:
    """Runs of two hundred deployments, claimed together, each have the plan of their own."""
    plans = await _plans()
    await plans.know(range(1, 201))
    command = StartActivity(1, "charge", "{}", charge.definition.options)
    got = [plans.plan("sell", n).route(command).options.priority for n in range(201)]
    assert got == list(range(201))


async def test_a_run_that_was_claimed_before_open_runs_were_told_to_follow_follows() -> None:
    """A claim may be older than the deployment that its run is to follow when it is taken up."""
    plans = await _plans()
    await plans.know([1, 3])
    plans.open_edit = 3
    assert [plans.in_force(edit) for edit in (0, 1, 3, 5)] == [3, 3, 3, 5]
