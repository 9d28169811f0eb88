"""What people write: `@workflow`, `@activity`, `Signal` and the calls they make.

    activity    `@activity` and `Activity`, what it returns
    workflow    `@workflow` and `Workflow`, what it returns
    calls       `Call`: what calling either gives; awaitable once
    graphs      `graph`: a hand-written graph as a step of a workflow
    signals     `Signal`: one name and one payload type for both sides
    verbs       `sleep`, `now`, `random`, `uuid4`, `info`, `wait_until` for workflow code
    logs        `logger`, silent while a run is replayed
    overrides   the options of definitions and calls, checked
    functions   which functions can be durable, and what to do about those that cannot
    heartbeats  a long activity says that it is alive, and learns that it has
                been stopped
    state       what workflow code keeps about itself for others to see and
                find: attributes and the entity
    declared_signals  which signals a workflow's code refers to, found by
                reading the code and what its names mean
    called_functions  which activities and workflows it calls
    compiler    from definitions to the app descriptor that runs

Nothing registers itself: a decorator returns a frozen value, and a worker is given those it serves.
"""
