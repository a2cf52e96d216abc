"""Reading tars that people send: what their headers may hold is limited before it is read.

The standard library reads a header of any size into memory, follows chains of them by recursion,
and needs quadratic time and memory for some.
"""

from __future__ import annotations

import re
import tarfile
from tarfile import BLOCKSIZE, GNUTYPE_SPARSE, XGLTYPE, HeaderError, ReadError
from typing import Any

from madang.core.errors import InvalidInput, LimitExceeded
from madang.core.resources import format_bytes

MAX_HEADER_BYTES = 2**20
"""Of all extended headers of one member together."""

MAX_NAME_LENGTH = 4096

_NAMES = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_PAX_TYPES = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_PAX_FIELDS = ("path", "linkpath", "size", "mtime")
_PAX_LENGTH_DIGITS = 8
_SIZE = re.compile(r"[0-9]{1,19}")


class SafeTarInfo(tarfile.TarInfo):
    """A member; for `tarfile.open(…, tarinfo=SafeTarInfo)`.

    Knows GNU's long names and, of PAX headers, path, linkpath, size and mtime. To read the next
    member raises LimitExceeded for headers that are too large and InvalidInput for those that
    can't be read, and for sparse files.
    """

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> SafeTarInfo:
        """Called by TarFile (`tarfile`) where a member begins; leaves it where its data does."""
        entry = cls._header(tarfile)
        start = tarfile.fileobj.tell() - BLOCKSIZE
        fields: dict[str, str] = {}
        room = MAX_HEADER_BYTES
        while entry.type in _NAMES or entry.type in _PAX_TYPES:
            room -= entry.size + BLOCKSIZE
            if room < 0:
                raise LimitExceeded(
                    "the archive has a member whose extended headers are larger than "
                    f"{format_bytes(MAX_HEADER_BYTES)}",
                    hint="Pack it without extended attributes.",
                )
            content = tarfile.fileobj.read(_padded(entry.size))[: entry.size]
            found = _extended(entry.type, content)
            (tarfile.pax_headers if entry.type == XGLTYPE else fields).update(found)
            try:
                entry = cls._header(tarfile)
            except HeaderError as error:
                raise ReadError(f"{error} after an extended one") from None
        entry._complete({**tarfile.pax_headers, **fields})
        entry.offset, entry.offset_data = start, tarfile.fileobj.tell()
        tarfile.offset = entry.offset_data + (_padded(entry.size) if entry.isreg() else 0)
        return entry

    @classmethod
    def _header(cls, archive: Any) -> SafeTarInfo:
        entry = cls.frombuf(archive.fileobj.read(BLOCKSIZE), archive.encoding, archive.errors)
        if entry.size < 0 or entry.type == GNUTYPE_SPARSE:
            raise InvalidInput(
                f"the archive holds {entry.name!r} with a size below zero or as a sparse file",
                hint="Pack it without --sparse.",
            )
        return entry

    def _complete(self, fields: dict[str, str]) -> None:
        self.pax_headers = fields
        self.name = fields.get("path", self.name)
        self.linkname = fields.get("linkpath", self.linkname)
        if self.isdir():
            self.name = self.name.rstrip("/")
        if "size" in fields:
            self.size = int(fields["size"])
        if max(len(self.name), len(self.linkname)) > MAX_NAME_LENGTH:
            raise InvalidInput(
                f"the archive holds {self.name[:100]!r}…, names and links can have at most "
                f"{MAX_NAME_LENGTH} characters"
            )


def _extended(kind: bytes, content: bytes) -> dict[str, str]:
    if kind in _NAMES:
        return {_NAMES[kind]: _text(content.partition(b"\0")[0])}
    return _pax_fields(content)


def _pax_fields(content: bytes) -> dict[str, str]:
    """The fields that count, from records `LENGTH KEY=VALUE` that each end a line."""
    fields: dict[str, str] = {}
    position = 0
    while position < len(content) and content[position]:
        digits, space, _ = content[position : position + _PAX_LENGTH_DIGITS].partition(b" ")
        end = position + int(digits) if space and digits.isdigit() else position
        record = content[position:end]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if not equals or not record.endswith(b"\n") or b"\0" in key or end > len(content):
            raise InvalidInput("the archive has an extended header that can't be read")
        name, text = _text(key), _text(value[:-1])
        if name.startswith("GNU.sparse."):
            raise InvalidInput("the archive holds a sparse file", hint="Pack without --sparse.")
        if name in _PAX_FIELDS:
            if "\0" in text or (name == "size" and not _SIZE.fullmatch(text)):
                raise InvalidInput(f"the archive has a member with the {name} {text[:100]!r}")
            fields[name] = text
        position = end
    return fields


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // BLOCKSIZE) * BLOCKSIZE
