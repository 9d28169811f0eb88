"""What graphs of functions have in common: one copy in an app, which runs as each graph's own."""

from __future__ import annotations

from durable.descriptor.commands import COMMAND
from durable.descriptor.model import App, Graph, Transition
from durable.protocol.codes import PENDING


def command_of(transition: Transition) -> str | None:
    """The command that a transition from a function is for, None where it is for none.

    Example:
        >>> from durable.descriptor.model import Conditions, Match
        >>> match = Match(expected="charge", actual=COMMAND)
        >>> command_of(Transition(to="x", conditions=Conditions(code=(202,), match=(match,))))
        'charge'
    """
    conditions = transition.conditions
    if conditions is None or conditions.code != (PENDING,) or len(conditions.match) != 1:
        return None
    match = conditions.match[0]
    return match.expected if match.actual == COMMAND and isinstance(match.expected, str) else None


def is_for_functions(app: App) -> bool:
    """Whether functions run graphs of the app: it is never active, as others are."""
    return app.shared is not None or any(graph.function for graph in app.graphs)


def with_shared(app: App, graph: Graph) -> Graph:
    """The graph as it runs: one of functions also has what its app shares.

    An activity of its own stands before the shared one of the same id, and a transition of its own
    before the shared one of the same command.
    """
    function, shared = graph.function, app.shared
    if function is None or shared is None:
        return graph
    own = graph.transitions.get(function, ())
    commands = {command_of(transition) for transition in own}
    added = [t for t in shared.transitions if command_of(t) not in commands]
    return graph.model_copy(
        update={
            "activities": {**shared.activities, **graph.activities},
            "transitions": {**graph.transitions, function: (*own, *added)},
        }
    )
