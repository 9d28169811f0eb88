"""The pages of the reference that are made from the code, and what makes each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.unit.reference import class_page, language_page, mapping_page

REFERENCE: Final = Path(__file__).parents[3] / "docs" / "reference"

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "mapping.md": mapping_page.page,
    "language.md": language_page.page,
    "hotmesh-class.md": class_page.page,
}
