"""`madang endpoint`: what people give and see."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from madang.cli.endpoints import _read_request
from madang.core.errors import InvalidInput


def test_a_request_from_the_line_a_file_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"inputs": []}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"inputs": []}'))
    for data in ('{"inputs": []}', f"@{file}", "@-"):
        assert _read_request(data) == {"inputs": []}


@pytest.mark.parametrize(
    ("data", "word"),
    [("{", "not valid JSON"), ("[]", "JSON object"), ("@/no/such", "can't be read")],
)
def test_what_is_no_request(data: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        _read_request(data)
