"""The pages of the reference that are made from the code are what the code gives today."""

from __future__ import annotations

import pytest

from durable.descriptor.document import load
from durable.descriptor.model import KINDS
from durable.descriptor.parts import Part
from tests.reference.language_examples import EXAMPLES
from tests.reference.language_page import fields_of, meanings
from tests.reference.pages import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    """The page in the documentation is what would be written now."""
    assert (REFERENCE / name).read_text("utf-8") == PAGES[name](), "run: python -m tests.reference"


def parts() -> list[type[Part]]:
    """Every class of the descriptor's models."""
    found: list[type[Part]] = [Part]
    for part in found:
        found.extend(part.__subclasses__())
    return [part for part in found if "descriptor.document" not in part.__module__]


@pytest.mark.parametrize("part", parts(), ids=lambda part: part.__name__)
def test_every_field_says_what_it_means(part: type[Part]) -> None:
    """Below each field of the language stands a sentence, and the page shows it."""
    names = [name for name, _, _ in fields_of(part)]
    said = meanings(part)
    assert not [name for name in names if not said.get(name)]
    page = PAGES["language.md"]()
    assert all(said[name] in page for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_kind_can_be_deployed(kind: str) -> None:
    """It holds together, and has an activity of that kind."""
    app = load(EXAMPLES[kind])
    kinds = {type(part) for graph in app.graphs for part in graph.activities.values()}
    assert KINDS[kind] in kinds
