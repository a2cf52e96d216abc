"""What `madang folder ls` prints."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from madang.cli.folder_files import _line, _print_done, _shown
from madang.client._local_files import Transferred
from madang.schemas.files import Entry, EntryKind, to_wire


def test_a_terminal_gets_nothing_that_it_obeys() -> None:
    assert _shown(to_wire("한글 50%.png")) == "한글 50%.png"
    assert _shown(to_wire("a\x1b[31m\nb")) == "a\\x1b[31m\\nb"
    assert _shown(to_wire(b"\xff")) == "\\udcff"


def test_lines() -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    entry = Entry("l", "d/l", EntryKind.SYMLINK, 1, moment, 0, "50%25")
    assert _line(entry).endswith("d/l -> 50%")
    directory = Entry("d", "d", EntryKind.DIRECTORY, 0, moment, 0)
    assert _line(directory).lstrip().startswith("-") and _line(directory).endswith("d/")


def test_what_was_done_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    _print_done("uploaded", Transferred(1, 5), as_json=False)
    _print_done("uploaded", Transferred(1797, 2**20, 2, 3), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "uploaded 1 file, 5B",
        "uploaded 1,797 files, 1MiB; 2 were there already; 3 left out (links elsewhere, pipes)",
    ]
