"""Sealing payloads: an envelope around the text, and nothing unsealed let in."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec.payloads import seal, unseal
from durable.errors import PayloadError


class Compress:
    """A codec whose output is any bytes."""

    def encode(self, data: bytes, /) -> bytes:
        return zlib.compress(data)

    def decode(self, data: bytes, /) -> bytes:
        return zlib.decompress(data)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_seal_and_unseal(text: str):
    """What is sealed comes back, and does not show."""
    stored = seal(Compress(), text)
    assert unseal(Compress(), stored) == text
    assert stored.startswith('"sealed:1:')


def test_without_codec():
    """Without a codec the text is stored as it is."""
    assert seal(None, "{}") == "{}"
    assert unseal(None, "{}") == "{}"


@pytest.mark.parametrize("stored", ["{}", '"text"', "not json", '"sealed:1:***"'])
def test_unsealed_text_is_refused(stored: str):
    """With a codec, what was not sealed by one is refused."""
    with pytest.raises(PayloadError):
        unseal(Compress(), stored)
