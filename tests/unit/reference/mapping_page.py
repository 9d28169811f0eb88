"""The reference of the mapping language, written from the engine's table of functions."""

from __future__ import annotations

import json

from durable.descriptor.expressions.values import UNDEFINED
from tests.unit.descriptor.expressions.calling import call
from tests.unit.reference.functions import Entry, reference

HEAD = """\
# Mapping

A mapping builds a value from others. It stands wherever a descriptor wants a value: in `maps`, in
the conditions of transitions, in `sleep`, `topic`, `expire` and so on. This page is generated from
the engine's table of functions; the results in it were computed by the engine.

## Values

| written | means |
|---|---|
| `42`, `text`, `{a: [1, true]}` | itself |
| `'{t1.output.data.x}'` | what activity `t1` answered, at the path `x`; also `.output.metadata.…` |
| `'{h1.hook.data.x}'` | what was signalled to the hook `h1` |
| `'{$self.output.data.x}'` | the same of the activity to which the mapping belongs |
| `'{$job.data.x}'`, `'{$job.metadata.jid}'` | what the whole job shares, and what it is |
| `'{$job.entity.x}'`, `'{$job.attributes.x}'` | what it keeps: its entity, its attributes |
| `'{@date.now}'` | a function without arguments |
| `{'@pipe': [[…], […]]}` | a pipe, see below |
| `{x: '{…}', y: ['{…}']}` | an object or array of such values |

A path that leads nowhere is undefined: left out of objects, null in arrays. Nothing is converted
unless a function does it. A reference stands alone: in `'order-{t1.output.data.id}'` it is text,
and deploying warns of it. `{@string.concat}` joins texts.

## Pipes

A pipe is a list of rows. The values of a row are the arguments of the function that begins the
next row; what stands beside that function is added to its result. The first value of the last row
is the result.

```yaml
user_name:
  '@pipe':
    - ['{t1.output.data.first}', 0]                       # ada, 0
    - ['{@string.charAt}', '{t1.output.data.last}']       # a, lovelace
    - ['{@string.concat}']                                # alovelace
```

A nested pipe between rows takes the values of the row above it, and the next row takes one value
from each nested pipe:

```yaml
initials:
  '@pipe':
    - ['{t1.output.data.name}', ' ']
    - '@pipe': [['{@string.split}', 0], ['{@array.get}', 0], ['{@string.charAt}']]
    - '@pipe': [['{@string.split}', 1], ['{@array.get}', 0], ['{@string.charAt}']]
    - ['{@string.concat}']
```

`@reduce` stands where a nested pipe can. The row above gives it an array or object, and the first
output. Its rows run for each item, and their result is the next output. Inside, `{$item}`, `{$key}`
(the place as text, or the property's name), `{$index}`, `{$output}` so far and the whole `{$input}`
are known.

```yaml
total:
  '@pipe':
    - ['{t1.output.data.lines}', 0]
    - '@reduce':
        - ['{$item.price}', '{$item.count}']
        - ['{@math.multiply}', '{$output}']
        - ['{@math.add}']
```

## Functions

They mean what they mean in JavaScript; what JavaScript would change is copied instead. An argument
with ? may be left out, … stands for any number. Where JavaScript would throw, the activity fails
with a message that names the place. `now` is the time of the step, so a step that is repeated
after a crash computes with its own time. Local times are UTC unless the engine was given a zone.
In the examples it is 14 November 2023, 22:13:20.
"""


def page() -> str:
    """The page, as it should stand in the documentation."""
    parts = [HEAD]
    for domain, entries in reference().items():
        parts.append(
            f"\n### {domain}\n\n| function | answers | example | result |\n|---|---|---|---|\n"
        )
        parts.extend(_row(domain, name, entry) for name, entry in entries.items())
    return "".join(parts)


def _row(domain: str, name: str, entry: Entry) -> str:
    example = ", ".join(json.dumps(value) for value in entry.example)
    result = call(f"{domain}.{name}", list(entry.example))
    shown = "undefined" if result is UNDEFINED else json.dumps(result)
    cells = (f"`{domain}.{name}({entry.arguments})`", entry.answer, f"`{example}`", f"`{shown}`")
    return ("| " + " | ".join(cells) + " |\n").replace("``", "")
