"""The images of a request: raw bytes, multipart form or JSON with base64, read within limits and kept in memory."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from facemask.inference.inputs import STANDARD_INPUT
from facemask.serve.settings import Limits

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

JSON = "application/json"
MULTIPART = "multipart/form-data"
RAW = ("application/octet-stream", "image/*")
_UNSAID = ("", "application/x-www-form-urlencoded")  # the second is what curl says of --data-binary by itself

LATER = {"Retry-After": "1"}

_UPLOADS_IN_MEMORY = 8  # times the size of the largest request


@dataclass(frozen=True)
class Upload:
    """One image as it was sent.

    Attributes:
        name: of the file, as the client calls it.
        content: of the file.
    """

    name: str
    content: bytes


class EncodedImage(BaseModel):
    """One image in a JSON request."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(STANDARD_INPUT, description="What the answer calls it.", examples=["team.jpg"])
    data: str = Field(description="The content of the image file in base64.")


class EncodedImages(BaseModel):
    """The images of a JSON request."""

    model_config = ConfigDict(extra="forbid")

    images: list[EncodedImage] = Field(min_length=1)


class Bodies:
    """Reads the bodies of requests, within the limits of one request and of all together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0  # bytes

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body; its size counts as held until the block ends.

        Raises:
            HTTPException: the body is too large (413) or too slow (408), or too much is held already (503).
        """
        chunks: list[bytes] = []
        try:
            await self._receive(request, chunks)
            chunks[:] = [b"".join(chunks)]
            yield chunks[0]
        finally:
            self._held -= sum(map(len, chunks))

    async def _receive(self, request: Request, chunks: list[bytes]) -> None:
        """Append the body to `chunks`."""
        too_large = HTTPException(413, f"the request is larger than {self._limits.bytes} bytes (--max-bytes)")
        if int(request.headers.get("content-length", 0)) > self._limits.bytes:
            raise too_large
        left = self._limits.bytes
        try:
            async with asyncio.timeout(self._limits.seconds):
                async for chunk in request.stream():
                    left -= len(chunk)
                    if left < 0:
                        raise too_large
                    chunks.append(chunk)
                    self._held += len(chunk)
                    if self._held > _UPLOADS_IN_MEMORY * self._limits.bytes:
                        raise HTTPException(503, "too many large requests at the same time; try again", LATER)
        except TimeoutError as error:
            message = f"the request did not arrive within {self._limits.seconds:g} s (--timeout)"
            # Without the rest of its body, nothing more can be asked on this connection.
            raise HTTPException(408, message, {"Connection": "close"}) from error


def unpack(body: bytes, content_type: str, name: str, limits: Limits) -> list[Upload]:
    """Return the images in the body of a request, in order.

    Args:
        body: the whole body.
        content_type: of the request, as its header says; "" if it says nothing.
        name: of an image that was sent as raw bytes.
        limits: of which the number of images counts here.

    Raises:
        HTTPException: the body is of no such type (415), or it is not what its type says or has no or too many
            images (422).
    """
    if not body:
        raise HTTPException(422, "the body is empty; send an image")
    kind = content_type.partition(";")[0].strip().lower()
    if kind in RAW or kind in _UNSAID or kind.startswith("image/"):
        return [Upload(name, body)]
    if kind == MULTIPART:
        return _from_multipart(body, parse_options_header(content_type)[1].get(b"boundary", b""), limits)
    if kind == JSON:
        return _from_json(body, limits)
    raise HTTPException(415, f"the type of the body must be {MULTIPART}, {JSON}, {' or '.join(RAW)}")


def is_raw(content_type: str) -> bool:
    """Return whether a body of this type is one image, so that nothing needs to be unpacked."""
    return not content_type.lower().startswith((MULTIPART, JSON))


def validation_sentence(error: ValidationError) -> str:
    """Say what is wrong with a JSON body, without its content."""
    found = (
        f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}" for one in error.errors(include_input=False)
    )
    return "; ".join(found)


def _from_json(body: bytes, limits: Limits) -> list[Upload]:
    try:
        images = EncodedImages.model_validate_json(body).images
    except ValidationError as error:
        raise HTTPException(
            422, f'the JSON must be {{"images": [{{"name": ..., "data": base64}}]}} ({validation_sentence(error)})'
        ) from error
    if len(images) > limits.images:
        raise _too_many(limits)
    return [Upload(image.name, _decoded(image, number)) for number, image in enumerate(images)]


def _decoded(image: EncodedImage, number: int) -> bytes:
    try:
        return base64.b64decode(image.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HTTPException(422, f"images.{number}.data is not base64") from error


def _from_multipart(body: bytes, boundary: bytes, limits: Limits) -> list[Upload]:
    if not boundary:
        raise HTTPException(422, f"the type {MULTIPART} needs a boundary; leave the header to your HTTP client")
    # Counted first: the parser is slow where a file contains the boundary again and again.
    if body.count(b"--" + boundary) > limits.images + 1:
        raise _too_many(limits)
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
    except FormParserError as error:
        raise HTTPException(422, "the multipart form is broken") from error
    if not parts.complete:
        raise HTTPException(422, "the multipart form is cut off")
    if not parts.uploads:
        raise HTTPException(422, "the multipart form has no image")
    return parts.uploads


class _Parts:
    """Collects the files of a multipart form from the parser's callbacks.

    Attributes:
        uploads: the files so far.
        complete: whether the end of the form was seen.
    """

    def __init__(self) -> None:
        self.uploads: list[Upload] = []
        self.complete = False
        self._field, self._value, self._name = b"", b"", ""
        self._content: list[bytes] = []

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_field,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_content,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._name = ""
        self._content.clear()

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            self._name = options.get(b"filename", b"").decode(errors="replace")
        self._field = self._value = b""

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end(self) -> None:
        if not self._name:
            raise HTTPException(422, "a part of the multipart form has no file name; send each image as a file")
        self.uploads.append(Upload(self._name, b"".join(self._content)))

    def _complete(self) -> None:
        self.complete = True


def _too_many(limits: Limits) -> HTTPException:
    return HTTPException(422, f"the request has more than {limits.images} images (--max-images); send several requests")
