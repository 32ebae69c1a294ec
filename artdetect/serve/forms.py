"""The pictures and fields in the body of a request: a form, or one picture as it is."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from artdetect.serve.problems import Refused

MAX_PICTURES = 32  # of one request
MAX_FIELDS = 8


@dataclass(frozen=True)
class Form:
    """What a body holds.

    Args:
        pictures: Name and content of each file, in order.
        fields: The other fields of the form.
    """

    pictures: list[tuple[str, bytes]]
    fields: Mapping[str, str] = field(default_factory=dict)


class _InMemory(MultiPartParser):
    spool_max_size = 2**31  # the body is in memory already: no picture is written to a temporary file


async def parse(headers: Headers, body: bytes, name: str = "") -> Form:
    """Take a body apart.

    Args:
        headers: The headers of the request.
        body: Its whole body.
        name: The name of the picture, if the body is one.

    Raises:
        Refused: It is a form, and damaged, or has no file or too many.
    """
    if not headers.get("content-type", "").lower().startswith("multipart/"):
        return Form([(name, body)])
    # In a thread: the parser is written in Python, and other requests need not wait for it.
    form = await asyncio.to_thread(asyncio.run, _parse(headers, body))
    if not form.pictures:
        raise Refused(422, "the form has no picture: send files, as curl -F picture=@picture.jpg does")
    return form


async def _parse(headers: Headers, body: bytes) -> Form:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = _InMemory(headers, stream(), max_files=MAX_PICTURES, max_fields=MAX_FIELDS)  # type: ignore[arg-type]
    try:
        items = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise Refused(422, f"the form cannot be read: {error.message}") from None
    pictures = [(item.filename or "", item.file.read()) for _, item in items if isinstance(item, UploadFile)]
    named = [(name, content) for name, content in pictures if name or content]  # a file input left empty sends neither
    return Form(named, {name: item for name, item in items if isinstance(item, str)})
