"""S17: the file inside a `multipart/form-data` upload (RFC 7578), while it streams in."""

import re
from collections.abc import AsyncIterator
from email.message import Message
from email.parser import HeaderParser
from typing import Final

from csms.exceptions import Invalid

HEADER_BYTES_MAX: Final = 16 * 1024
SKIPPED_BYTES_MAX: Final = 1024 * 1024
_BOUNDARY: Final = re.compile(r"[\x21-\x7e ]{0,69}[\x21-\x7e]")


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart type; None for another type. Raises Invalid for one without or with an odd one."""
    message = Message()
    message["content-type"] = content_type
    if message.get_content_maintype() != "multipart":
        return None
    boundary = message.get_boundary()
    if boundary is None or _BOUNDARY.fullmatch(boundary) is None:
        raise Invalid("the multipart body has no usable boundary")
    return boundary.encode()


class FilePart:
    """The first part that has a file name; `name` is known from its first chunk on."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: bytes) -> None:
        self.name = ""
        self._chunks = chunks
        self._delimiter = b"\r\n--" + boundary
        self._skipped_bytes = 0
        self._buffer = b"\r\n"  # the first delimiter has no line break before it

    async def content(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises Invalid for a body that ends before its closing delimiter, or has no file."""
        await self._skip_to_delimiter()
        while await self._begin_part():
            if self.name:
                async for chunk in self._part():
                    yield chunk
                await self._read_to_end()
                return
            await self._skip_to_delimiter()
        raise Invalid("the multipart body has no part with a file name")

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._chunks)
        except StopAsyncIteration:
            raise Invalid("the multipart body ends too early; send the whole file") from None

    async def _need(self, count: int) -> None:
        while len(self._buffer) < count:
            await self._more()

    async def _skip_to_delimiter(self) -> None:
        async for chunk in self._part():
            self._skip(chunk)

    def _skip(self, chunk: bytes) -> None:
        self._skipped_bytes += len(chunk)
        if self._skipped_bytes > SKIPPED_BYTES_MAX:
            raise Invalid("the multipart body holds too much besides the file")

    async def _part(self) -> AsyncIterator[bytes]:
        """Everything up to the next delimiter, which is taken away too."""
        delimiter = self._delimiter
        while (at := self._buffer.find(delimiter)) < 0:
            certain = len(self._buffer) - len(delimiter) + 1
            if certain > 0:
                chunk, self._buffer = self._buffer[:certain], self._buffer[certain:]
                yield chunk
            await self._more()
        chunk, self._buffer = self._buffer[:at], self._buffer[at + len(delimiter) :]
        if chunk:
            yield chunk

    async def _begin_part(self) -> bool:
        """Read the headers of the next part; False at the closing delimiter."""
        await self._need(2)
        if self._buffer.startswith(b"--"):
            return False
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEADER_BYTES_MAX:
                raise Invalid("a part of the multipart body has too long headers")
            await self._more()
        headers = HeaderParser().parsestr(self._buffer[:end].decode("utf-8", "replace").lstrip("\r\n"))
        self._buffer = self._buffer[end + 4 :]
        self.name = headers.get_filename() or ""
        return True

    async def _read_to_end(self) -> None:
        """Take what follows, so that the connection can be used again."""
        async for chunk in self._chunks:
            self._skip(chunk)
