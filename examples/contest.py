"""Which compressor is the best for each module of a package? Two graphs, in contest.yaml.

Kill it, and start it again: it goes on with the file at which it was.

Run it without any set-up:  python examples/contest.py
"""

import argparse
import asyncio
import bz2
import lzma
import sys
import sysconfig
import zlib
from pathlib import Path
from typing import Any

import durable

GRAPHS = Path(__file__).parent / "contest.yaml"
LIBRARY = Path(sysconfig.get_path("stdlib"))
COMPRESSORS = {"zlib": zlib, "bz2": bz2, "lzma": lzma}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Which compressor is the best for each module?")
    parser.add_argument("package", nargs="?", default="json", help="of the standard library")
    parser.add_argument("--log", type=Path, help="write each compression into this file")
    return parser.parse_args()


async def list_files(message: dict[str, Any]) -> dict[str, Any]:
    """The modules of a package."""
    package = message["data"]["package"]
    files = sorted(str(path.relative_to(LIBRARY)) for path in (LIBRARY / package).glob("*.py"))
    if not files:
        return {"code": 404, "status": "error", "data": {"message": f"no package {package!r}"}}
    return {"data": {"files": files}}


class Squeezer:
    """Compresses files; a worker's callback may be any async callable."""

    def __init__(self, log: Path | None) -> None:
        self.log = log

    async def __call__(self, message: dict[str, Any]) -> dict[str, Any]:
        file, by = message["data"]["file"], message["data"]["by"]
        plain = (LIBRARY / file).read_bytes()
        packed = await asyncio.to_thread(COMPRESSORS[by].compress, plain)
        if self.log:
            with self.log.open("a", encoding="utf-8") as log:
                print(file, by, file=log)
        return {"data": {"plain": len(plain), "size": len(packed)}}


class News:
    """Prints the lines of the report as they come, each once; knows when the job has ended."""

    def __init__(self) -> None:
        self.printed = 0
        self.end = asyncio.Event()

    async def __call__(self, _topic: str, job: dict[str, Any]) -> None:
        lines = job["data"].get("lines", {})
        for number in range(self.printed, len(lines)):
            self.printed += 1
            print("{file:<24} {plain:>7,} {smallest:>6,}  {by}".format(**lines[str(number)]))
        if job["metadata"]["js"] <= 0:
            self.end.set()


async def main() -> None:
    given = arguments()
    client = await durable.connect()
    mesh = await durable.HotMesh.init(
        app_id="contest",
        engine={"connection": client},
        workers=[
            {"topic": "list", "callback": list_files},
            {"topic": "squeeze", "callback": Squeezer(given.log), "concurrency": 3},
        ],
    )
    async with client, mesh:
        await mesh.deploy(GRAPHS)
        await mesh.activate("1")
        news = News()
        await mesh.sub(f"contest.news.{given.package}", news)
        try:
            await mesh.pub("contest", {"id": given.package, "package": given.package})
        except durable.DuplicateJob:  # an earlier run of this program was killed, or has done it
            await news("", await mesh.get_state("contest", given.package))
        await news.end.wait()
        job = await mesh.get_state("contest", given.package)
        if error := job["metadata"].get("err"):
            sys.exit(error["message"])
        lines = job["data"]["lines"].values()
        totals = (sum(line[size] for line in lines) for size in ("plain", "smallest"))
        print("{:<24} {:>7,} {:>6,}".format("together", *totals))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped; start it again, and it goes on from here", file=sys.stderr)
        sys.exit(130)

# json/__init__.py          14,020  3,556  lzma
# json/decoder.py           12,473  3,532  lzma
# json/encoder.py           16,080  3,954  bz2
# json/scanner.py            2,425    743  zlib
# json/tool.py               3,339  1,151  zlib
# together                  48,337 12,936
