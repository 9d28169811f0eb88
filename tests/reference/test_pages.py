"""The pages of the reference that are made from the code are what the code gives today."""

from __future__ import annotations

import inspect
import re

import pytest

from durable.descriptor.document import load
from durable.descriptor.model import KINDS
from durable.descriptor.parts import Part
from durable.hotmesh.mesh import HotMesh
from tests.reference.class_page import GROUPS, sections, vars_of
from tests.reference.language_examples import EXAMPLES
from tests.reference.language_page import classes, fields_of, meanings
from tests.reference.pages import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    """The page in the documentation is what would be written now."""
    assert (REFERENCE / name).read_text("utf-8") == PAGES[name](), "run: python -m tests.reference"


@pytest.mark.parametrize("part", classes(), ids=lambda part: part.__name__)
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


def test_every_method_has_its_place() -> None:
    """The page of the class has each public method once, and no other."""
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(vars_of(HotMesh))


@pytest.mark.parametrize("name", vars_of(HotMesh))
def test_a_method_tells_all(name: str) -> None:
    """Its docstring names every argument, what may be raised, and shows it in use."""
    method = vars_of(HotMesh)[name]
    said = sections(method)
    told = said[""] + said.get("Args", "")
    arguments = [a for a in inspect.signature(method).parameters if a not in {"self", "cls"}]
    assert [a for a in arguments if not re.search(rf"\b{a}\b", told)] == []
    assert said["Example"]
