"""Documents in files: `$ref: ./other.yaml#/a/b` brings in what stands in another file.

Only files below the directory of the first one are read. A `$ref` that begins with `#` belongs to a
JSON Schema and is left as it is.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from durable.descriptor.yaml_reader import SIZE_LIMIT, Mark, read
from durable.errors import DescriptorError

REF: Final = "$ref"
INCLUDE_LIMIT = 1000  # references to files in one document, those in included files counted too


def read_file(path: Path) -> tuple[object, Mark]:
    """The data of a YAML file with its `$ref`s resolved, and its marks.

    Marks of what came from another file name the line of the `$ref`.

    Raises `DescriptorError` for a file that cannot be read, and as `yaml_reader.read` does.
    """
    if "\0" in str(path):
        raise DescriptorError(
            f"the file {str(path)!r} cannot be read: no path has a null character"
        )
    top = path.resolve()
    includes = _Includes(top.parent)
    data, mark = includes.open(top, "")
    return includes.resolve(data, mark, top, ())


@dataclass(slots=True)
class _Includes:
    root: Path
    cache: dict[Path, tuple[object, Mark]] = field(default_factory=dict)
    count: int = 0

    def open(self, path: Path, where: str) -> tuple[object, Mark]:
        if path not in self.cache:
            try:
                with path.open("rb") as file:  # never more than is allowed: a device has no end
                    raw = file.read(4 * SIZE_LIMIT + 1)  # a character has at most four bytes
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DescriptorError(f"{where}the file '{path}' is not UTF-8 text") from error
            except OSError as error:
                reason = error.strerror or "it cannot be read"
                raise DescriptorError(
                    f"{where}the file '{path}' cannot be read: {reason}"
                ) from error
            self.cache[path] = read(text)
        return self.cache[path]

    def resolve(
        self, value: object, mark: Mark, here: Path, chain: tuple[str, ...]
    ) -> tuple[object, Mark]:
        if isinstance(value, list):
            pairs = [self.resolve(v, mark.inner[i], here, chain) for i, v in enumerate(value)]
            return [v for v, _ in pairs], Mark(mark.line, {i: m for i, (_, m) in enumerate(pairs)})
        if not isinstance(value, dict):
            return value, mark
        target = value.get(REF)
        if isinstance(target, str) and not target.startswith("#"):
            return self.include(value, mark, here, chain), Mark(mark.line)
        found = {k: self.resolve(v, mark.inner[k], here, chain) for k, v in value.items()}
        return {k: v for k, (v, _) in found.items()}, Mark(
            mark.line, {k: m for k, (_, m) in found.items()}
        )

    def include(
        self, value: dict[str, object], mark: Mark, here: Path, chain: tuple[str, ...]
    ) -> object:
        where = f"{here.name}, line {mark.line}: "
        target = str(value[REF])
        if len(value) > 1:
            raise DescriptorError(f"{where}beside {REF} there can be no other keys")
        name, _, pointer = target.partition("#")
        path = (here.parent / name).resolve()
        if "://" in name or not path.is_relative_to(self.root):
            raise DescriptorError(f"{where}{REF} {target!r} leads out of the document's directory")
        step = f"{path}#{pointer}"
        self.count += 1
        if step in chain or self.count > INCLUDE_LIMIT:
            raise DescriptorError(
                f"{where}{REF} {target!r} leads back to itself, or there are too many"
            )
        data, inner = self.open(path, where)
        for key in pointer.strip("/").split("/") if pointer.strip("/") else []:
            data, inner = _step(data, inner, key, f"{where}{REF} {target!r}")
        return self.resolve(data, inner, path, (*chain, step))[0]


def _step(data: object, mark: Mark, key: str, what: str) -> tuple[object, Mark]:
    """One step of a JSON pointer."""
    key = key.replace("~1", "/").replace("~0", "~")
    if isinstance(data, dict) and key in data:
        return data[key], mark.inner[key]
    if isinstance(data, list) and key.isdecimal() and int(key) < len(data):
        return data[int(key)], mark.inner[int(key)]
    raise DescriptorError(f"{what}: there is no {key!r} in that file")


def write_resolved(source: Path, app_id: str, version: str, document: Mapping[str, object]) -> Path:
    """Write a document, in which nothing refers to other files any more, beside its source.

    It is JSON, in `.hotmesh.<id>.<version>.json`, and takes the place of what was there at once.

    Raises `OSError` where that cannot be written.
    """
    name = re.sub(r"[^\w.-]", "_", f".hotmesh.{app_id}.{version}.json")
    text = json.dumps(document, ensure_ascii=False, indent=2)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=source.parent, prefix=name, suffix=".tmp", delete=False
    ) as file:
        file.write(f"{text}\n")
    written = Path(file.name)
    try:
        return written.replace(source.parent / name)
    except OSError:
        written.unlink()
        raise
