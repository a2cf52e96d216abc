"""Text that no storage and no answer can hold is refused where it comes in."""

from __future__ import annotations

import json
import re

from fastapi import Request

from madang.core.errors import InvalidInput

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


async def refuse_broken_text(request: Request) -> None:
    """Raises InvalidInput for JSON with half a character (`"\\ud800"`): JSON can spell it, UTF-8
    can't, so that it could be stored but never be shown again."""
    if request.headers.get("content-type", "").startswith("application/json"):
        check_whole_characters(await request.body())


def check_whole_characters(body: bytes) -> None:
    """Raises InvalidInput as `refuse_broken_text` does; what is no JSON passes."""
    if not _SURROGATE_ESCAPE.search(body):
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        broken = str(error.object)[error.start : error.end]
        raise InvalidInput(
            f"the text {broken!r} is not a whole character",
            hint="Send such characters as UTF-8, or as two escapes that belong together.",
        ) from None
    except (ValueError, RecursionError):
        return  # not JSON at all: the route says so
