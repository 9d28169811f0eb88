"""Writes the pages of the reference that are made from code: `python -m tests.unit.reference`."""

from __future__ import annotations

from tests.unit.reference.pages import PAGES, REFERENCE

for name, page in PAGES.items():
    (REFERENCE / name).write_text(page(), encoding="utf-8")
