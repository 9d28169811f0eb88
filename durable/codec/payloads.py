"""What may be wrapped around the text of every payload: encryption, compression.

The engine stores JSON text, so a transformed payload travels as a JSON string with a mark of its
own. With a codec in place everything is sealed: text without the mark is refused, since to let it
pass would let anyone who can write to the database put plain text where sealed text is expected.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final, Protocol

from durable.errors import PayloadError

_MARK: Final = "sealed:1:"


class PayloadCodec(Protocol):
    """Turns payload bytes into other bytes and back, such as by AES-GCM with a key of yours.

    Both are called on the event loop, must not block for long, and must be inverse to each other.
    An exception from either is the user's own and is passed on.
    """

    def encode(self, data: bytes, /) -> bytes:
        """Seal: UTF-8 JSON to any bytes."""
        ...

    def decode(self, data: bytes, /) -> bytes:
        """Open: the inverse."""
        ...


def seal(codec: PayloadCodec | None, text: str) -> str:
    """The text as it is stored: as it is without a codec, else sealed in a JSON string."""
    if codec is None:
        return text
    return f'"{_MARK}{base64.b64encode(codec.encode(text.encode())).decode()}"'


def unseal(codec: PayloadCodec | None, stored: str) -> str:
    """The inverse of `seal`. `PayloadError` for what this codec cannot have sealed."""
    if codec is None:
        return stored
    try:
        inner = json.loads(stored)
    except ValueError as error:
        raise PayloadError(f"a stored payload is no JSON: {error}") from error
    if not isinstance(inner, str) or not inner.startswith(_MARK):
        raise PayloadError(
            "a stored payload was not sealed by a payload codec: it was written before the codec"
            " was configured, or by a client or worker without it"
        )
    try:
        data = base64.b64decode(inner.removeprefix(_MARK), validate=True)
    except binascii.Error as error:
        raise PayloadError(f"a sealed payload is damaged: {error}") from error
    return codec.decode(data).decode()
