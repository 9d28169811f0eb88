"""The reference of the class `HotMesh`, written from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from durable.hotmesh.escalations import Escalations
from durable.hotmesh.mesh import HotMesh, PartMethod

WIDTH: Final = 100  # characters of a signature on one line

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Taking part": ("init", "serve", "guid"),
    "Versions": ("plan", "deploy", "activate", "active_version"),
    "Hearing of jobs": ("sub", "psub"),
    "Jobs": ("pub", "pubsub", "resume", "hook", "add", "interrupt"),
    "Looking at jobs": ("get_status", "get_state", "export", "get_raw", "query_state"),
    "Jobs by what they have": (
        "find", "find_by_condition", "find_by_id", "get_stats", "get_ids", "hook_all",
    ),
    "Jobs that have ended": ("scrub", "prune"),
    "Hearing no more": ("unsub", "punsub"),
    "Engines and workers": (
        "roll_call", "throttle", "sub_quorum", "pub_quorum", "unsub_quorum",
    ),
    "The end": ("stop",),
}  # fmt: skip

HEAD: Final = """\
# The class `HotMesh`

Every method, with its arguments in order, what it gives back, and what it raises. This page is
generated from the class; its examples are run from top to bottom. How things work together is told
in [Graphs written by hand](../hotmesh.md) and [Quorum](../quorum.md).

Every method but `guid` is awaited. Times are [durations](../reference.md). Data is plain: what JSON
can hold. `options` may be given as a dict, or as keywords. A method that needs the database raises
`DatabaseError` when there is none; the errors of jobs are `JobError`s, with `code` and `job_id`.

A mesh has `app_id`, `namespace` (the Postgres schema), `engine_id` (its guid in the quorum) and
`escalations` (below).

A **message**, as callbacks get it, and a **job**, as `pubsub`, `get_state` and subscribers get it,
are dicts of two keys:

| key | of a message | of a job |
|---|---|---|
| `data` | what `input.maps` built | what `job.maps` wrote |
| `metadata` | `jid`, `gid`, `aid`, `dad`, `topic`; `try`: 0 for the first attempt | see below |

| key of a job's metadata | |
|---|---|
| `jid`, `gid` | its id; the number that no other job has |
| `tpc`, `app`, `vrs` | the topic that its graph subscribes to, its app, its version |
| `aid` | its trigger |
| `js` | its status: the semaphore |
| `jc`, `ju` | when it began; when it last went on. UTC, as `20261122163222.482` |
| `err` | `{"code", "message", "job_id", …}` of one that ended with an error |
| `put_aside` | `{"code", "message", …}`: why a message of it waits for `resume`, or `interrupt` |
| `pj`, `pg`, `pa`, `pd` | of one that is awaited: its parent's id, number, activity and dimension |
| `trc`, `spn`, `ngn` | what `pub` was given as context |
| `expire`, `persistent` | seconds for which it keeps its id after its end; whether for ever |

The examples are about a help desk. A ticket is sorted, and waits for an answer:

```yaml
# desk.yaml
app:
  id: desk
  version: 1
  graphs:
    - subscribes: ticket.open
      publishes: ticket.closed
      expire: 1 hour
      activities:
        start:
          type: trigger
          entity: ticket
          stats:
            id: '{$self.input.data.id}'
            key: tickets
            granularity: infinity
            measures:
              - {measure: count, target: '{$self.input.data.text}'}
              - {measure: index, target: '{$self.input.data.text}'}
        sort:
          type: worker
          topic: sort
          input: {maps: {text: '{start.output.data.text}'}}
          job:
            maps:
              team: '{$self.output.data.team}'
              about[_]: {team: '{$self.output.data.team}'}
          state: [{op: entity.merge, value: {team: {name: '{$self.output.data.team}'}}}]
        wait: {type: hook}
        close: {type: hook, job: {maps: {answer: '{wait.hook.data.text}'}}}
      transitions:
        start: [{to: sort}]
        sort: [{to: wait}]
        wait: [{to: close}]
      hooks:
        ticket.answered:
          - to: wait
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
```

```python
import durable

client = await durable.connect()
```
"""


def page() -> str:
    """The page, as it should stand in the documentation."""
    parts = [HEAD]
    for title, names in GROUPS.items():
        parts.append(f"\n## {title}\n")
        parts.extend(_method(name, vars_of(HotMesh)[name]) for name in names)
    parts.append("\n```python\nawait client.close()\n```\n")
    parts.append(_escalations())
    return "".join(parts)


def vars_of(cls: type[Any]) -> dict[str, Callable[..., Any]]:
    """The public methods of a class and its bases, as they are called."""
    names = {name for base in cls.__mro__ for name, value in vars(base).items() if _is_own(value)}
    return {name: getattr(cls, name) for name in sorted(names) if not name.startswith("_")}


def _is_own(value: object) -> bool:
    kinds = (classmethod, staticmethod, type(vars(HotMesh)["stop"]), PartMethod)
    return inspect.isfunction(value) or isinstance(value, kinds)


def sections(method: Callable[..., Any]) -> dict[str, str]:
    """A docstring by its sections: "" for its prose, `Args`, `Example`."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in inspect.cleandoc(method.__doc__ or "").splitlines():
        if line in {"Args:", "Example:"}:
            name = line[:-1]
            found[name] = []
        elif line and not line.startswith(" ") and name:
            name = ""
            found[""].append(line)
        else:
            found[name].append(line)
    return {name: inspect.cleandoc("\n".join(lines)).strip() for name, lines in found.items()}


def _method(name: str, method: Callable[..., Any]) -> str:
    said = sections(method)
    prose = re.sub(r"\n{3,}", "\n\n", said[""])
    first, _, rest = prose.partition("\n\n")
    arguments = "".join(f"- `{a}`: {text}\n" for a, text in _arguments(said.get("Args", "")))
    blocks = [f"\n### {name}\n", f"```text\n{_signature(name, method)}\n```\n", f"{first}\n"]
    blocks += [f"{block}\n" for block in (arguments.rstrip("\n"), rest) if block]
    example = re.sub(r"\n\n(?=\S)", "\n\n\n", said.get("Example", ""))  # as in a module
    blocks += [f"```python\n{example}\n```\n"] if example else []
    return "\n".join(blocks)


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"\n(?=\w+: )", text):
        if part:
            name, _, said = part.partition(": ")
            yield name, re.sub(r"\s*\n\s*", " ", said)


def _escalations() -> str:
    """The methods of an attribute, in short; a page of its own shows them at work."""
    rows = [
        (_signature(name, method, width=10_000).replace("|", r"\|"), _first(method))
        for name, method in sorted(vars_of(Escalations).items(), key=_line)
    ]
    table = "".join(f"| `{signature}` | {said} |\n" for signature, said in rows)
    return (
        "\n## `mesh.escalations`\n\n"
        f"{inspect.cleandoc(Escalations.__doc__ or '')}\n\n"
        "All of it at work: [Escalations](../how-to/escalations.md).\n\n"
        f"| method | |\n|---|---|\n{table}"
    )


def _line(named: tuple[str, Callable[..., Any]]) -> int:
    return inspect.getsourcelines(named[1])[1]


def _first(method: Callable[..., Any]) -> str:
    return sections(method)[""].partition("\n\n")[0].replace("\n", " ").replace("|", "or")


def _signature(name: str, method: Callable[..., Any], width: int = WIDTH) -> str:
    signature = inspect.signature(method)
    kept = list(map(_parameter, signature.parameters.values()))
    starred = [n for n, p in enumerate(signature.parameters.values()) if p.kind is p.KEYWORD_ONLY]
    if starred:
        kept.insert(starred[0], "*")
    kept = [parameter for parameter in kept if parameter != "self"]
    answer = _words(signature.return_annotation)
    text = f"{name}({', '.join(kept)}) -> {answer}"
    inner = "".join(f"    {parameter},\n" for parameter in kept)
    return text if len(text) <= width else f"{name}(\n{inner}) -> {answer}"


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.annotation is inspect.Parameter.empty:
        return parameter.name
    stars = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}: {_words(parameter.annotation)}"
    given = parameter.default is not inspect.Parameter.empty
    return f"{text} = {parameter.default!r}" if given else text


def _words(annotation: object) -> str:
    return re.sub(
        r"\bData\b|\bOutput\b|\bMapping\[str, Any\]|\bdict\[str, Any\]",
        "dict",
        str(annotation).replace("Self", "HotMesh"),
    )
