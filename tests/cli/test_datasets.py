"""Reading what people type for datasets."""

from __future__ import annotations

import pytest

from madang.cli.datasets import parse_hold_out, parse_source
from madang.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("folder:digits", ("digits", "")),
        ("folder:digits/train", ("digits", "train")),
        ("folder:digits/a/b c", ("digits", "a/b c")),
    ],
)
def test_sources(text: str, source: tuple[str, str]) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize("text", ["digits", "folder:", "s3:digits", ""])
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a source"):
        parse_source(text)


def test_parts() -> None:
    assert parse_hold_out("test=0.2") == ("test", 0.2)
    for text in ("test", "test=", "=0.2", "test=many"):
        with pytest.raises(InvalidInput, match="not a part"):
            parse_hold_out(text)
