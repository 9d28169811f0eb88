"""The reference of the graph language, written from the models of the descriptor."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic.fields import FieldInfo

from durable.descriptor import files, identifiers, model, parts, yaml_reader
from durable.engine.steps.graph_walk import CYCLES_MAX
from tests.unit.reference.language_examples import EXAMPLES

HEAD: Final = """\
# The language of graphs

What an app document may say. This page is generated from the models by which documents are read:
every field is here, and a field that is not here is refused. How it works together is told in
[Graphs written by hand](../hotmesh.md), and built up step by step in
[Ten graphs](../graphs/quickstart.md).

A **value** is a literal, a reference such as `{start.output.data.x}`, or a pipe: see
[Mapping](mapping.md). **maps** are an object of values. A **duration** is text such as `30 days` or
`250 ms`; a number in its place is seconds.

`input.maps`, `topic`, `sleep` and the like are computed when the job comes to the activity;
`output.maps`, `job.maps` and the conditions of transitions when it has answered.

What `state` may do is listed in [State](../how-to/state.md#in-graphs-written-by-hand), what `stats`
are for in [Counting jobs](../how-to/stats.md), and `escalation` in
[Waiting for people](../how-to/escalations.md).

Every document below is one that `mesh.plan` accepts.
"""

FUNCTIONS: Final = """\
`durable yaml` prints the descriptor of decorated functions. Each workflow is a graph with one
`reentrant` activity, its function. A turn of the function answers with code 202 once for each
command, and the transition whose `expected` names the command leads to the activity that carries it
out. The command of an activity that is registered with the worker is its name; `.activity` runs one
that is not, `.child` a workflow, `.graph` a hand-written graph (its app is the `taskQueue`),
`.timer` sleeps, and `.signal` waits for signals. What such a graph cannot do is refused; in other
graphs, so are `taskQueue`, `priority` and the timeouts."""

WORDS: Final = {
    "JsonValue": "value",
    "Maps": "maps",
    "Schema": "JSON Schema",
    "Text": "text",
    "Flag": "true or false",
    "Whole": "whole number",
    "Number": "number",
    "RetryValue": "[Retry](#retry), or a reference below a function",
    "Code": "code",
    "CodeText": "code",
    "CodeRetries": "`[n, x]`",
    "Id": "id",
    "Topic": "topic",
    "Activity": "[activity](#activities)",
    "str": "text",
    "None": "",
}

SECTIONS: Final[tuple[tuple[str, str, tuple[type[parts.Part], ...]], ...]] = (
    ("The document", "It has one key, `app`.", (model.App, model.Graph)),
    (
        "Graphs of functions",
        FUNCTIONS,
        (model.Shared,),
    ),
    (
        "Transitions",
        "Under `transitions`, an activity has a list of these. All that fit are followed at once.",
        (model.Transition, model.Conditions, model.Match),
    ),
    (
        "Hook rules",
        "Under `hooks`, each topic has a list of these.",
        (model.HookRule, model.HookConditions),
    ),
    (
        "What activities have in common",
        "Each kind has these fields, and its own.",
        (model.ActivityPart,),
    ),
)


@functools.cache
def classes() -> list[type[parts.Part]]:
    """Every class of the descriptor's models, in the order in which they are written."""
    found: list[type[parts.Part]] = [parts.Part]
    for part in found:
        found.extend(part.__subclasses__())
    home = {model.__name__: 1, parts.__name__: 0}
    own = [part for part in found if part.__module__ in home]
    return sorted(own, key=lambda p: (home[p.__module__], inspect.getsourcelines(p)[1]))


@functools.cache
def _sides() -> list[type[parts.Part]]:
    """Those that have no other place on the page."""
    placed = {parts.Part, *model.KINDS.values(), *(c for _, _, group in SECTIONS for c in group)}
    return [part for part in classes() if part not in placed]


@functools.cache
def page() -> str:
    """The page, as it should stand in the documentation."""
    lines = [HEAD]
    for title, sentence, classes in SECTIONS:
        lines.append(f"\n## {title}\n\n{sentence}\n")
        lines.extend(_part(cls) for cls in classes)
        if title in EXAMPLES:
            lines.append(f"\n```yaml\n{EXAMPLES[title]}```\n")
    lines.append("\n## Activities\n\nThe seven kinds. `type` says which one it is.\n")
    for kind, cls in model.KINDS.items():
        lines.append(_part(cls, kind))
        lines.append(f"\n```yaml\n{EXAMPLES[kind]}```\n")
    lines.append("\n## Parts of activities\n")
    lines.extend(_part(cls) for cls in _sides())
    lines.append(_limits())
    return "".join(lines)


def fields_of(cls: type[parts.Part]) -> Iterator[tuple[str, str, FieldInfo]]:
    """The fields that a class adds to its bases: attribute, annotation, field."""
    for name, annotation in inspect.get_annotations(cls).items():
        if name in cls.model_fields:
            yield name, annotation, cls.model_fields[name]


@functools.cache
def meanings(cls: type[Any]) -> dict[str, str]:
    """The texts that stand below the fields of a class, by the attribute."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        before.target.id: " ".join(after.value.value.split())  # one row of a table
        for before, after in itertools.pairwise(body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }


def _part(cls: type[parts.Part], kind: str = "") -> str:
    said = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    texts = meanings(cls)
    rows = [
        f"| `{field.alias or name}` | {_type(ast.parse(annotation, mode='eval').body)} "
        f"| {_default(field)} | {texts[name]} |\n"
        for name, annotation, field in fields_of(cls)
    ]
    head = "| field | type | default | meaning |\n|---|---|---|---|\n"
    inherits = [base for base in cls.__bases__ if base in _sides()]
    also = "".join(f"It has the fields of `{base.__name__}`, and:\n\n" for base in inherits)
    return f"\n### {kind or cls.__name__}\n\n{said}\n\n{also}{head}{''.join(rows)}"


def _type(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=None):
            return ""
        case ast.Name(id=name):
            return WORDS[name] if name in WORDS else _link(name)
        case ast.BinOp(left=left, right=right):
            words = " or ".join(filter(None, (_type(left), _type(right))))
            return words.replace("whole number or number", "number")
        case ast.Subscript(value=ast.Name(id="Literal"), slice=of):
            values = of.elts if isinstance(of, ast.Tuple) else [of]
            return ", ".join(f"`{ast.literal_eval(value)}`" for value in values)
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[item, _])):
            return f"list of {_type(item)}"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, item])):
            of_what = _type(item)
            return f"{_type(key)} → {of_what}" if key and of_what != "value" else "object"
    raise TypeError(f"no words for the type {ast.unparse(node)}: add them to language_page")


def _link(name: str) -> str:
    if name not in {part.__name__ for part in classes()}:
        raise TypeError(f"no words for the type {name}: add them to language_page")
    return f"[{name}](#{name.lower()})"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return ""
    return f"`{json.dumps(value[0] if isinstance(value, tuple) else value).strip(chr(34))}`"


def _limits() -> str:
    rows = {
        "an id, a topic": f"1 to {identifiers.LONGEST} characters, no blanks, braces or quotes",
        "a code": "100 to 999",
        "retries under a code": "0 to 1,000",
        "a document": f"{yaml_reader.SIZE_LIMIT:,} characters in a file",
        "its depth": f"{yaml_reader.DEPTH_LIMIT} nested objects and lists",
        "its size with aliases followed": f"{yaml_reader.NODE_LIMIT:,} keys, values and items",
        "`$ref` to other files": f"{files.INCLUDE_LIMIT:,}, all below the document's directory",
        "passes of one cycle": f"{CYCLES_MAX:,} without waiting for anything; then the job fails",
    }
    lines = "".join(f"| {what} | {limit} |\n" for what, limit in rows.items())
    return f"\n## Limits\n\n| | |\n|---|---|\n{lines}"
