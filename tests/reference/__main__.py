"""Writes the pages of the reference that are made from the code: `python -m tests.reference`."""

from __future__ import annotations

from tests.reference.pages import PAGES, REFERENCE

for name, page in PAGES.items():
    (REFERENCE / name).write_text(page(), encoding="utf-8")
