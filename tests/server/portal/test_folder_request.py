"""From what is chosen in a folder to file commands."""

from __future__ import annotations

import pytest

from madang.client._file_words import file_job
from madang.core.errors import InvalidInput
from madang.server.portal.folder_request import Chosen, lines

CHOSEN = Chosen("digits", "train", ("train/a b", "train/c"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            CHOSEN.copy("other/x/", verify=True),
            "madang files cp -rp --resume --verify -t folder:other/x 'folder:digits/train/a b' "
            "folder:digits/train/c",
        ),
        (
            CHOSEN.archive("t.tar.zst"),
            "madang files tar -c --zstd -f folder:digits/train/t.tar.zst -C folder:digits/train "
            "'a b' c",
        ),
        (
            CHOSEN.modes("g+rX"),
            "madang files chmod -R g+rX 'folder:digits/train/a b' folder:digits/train/c",
        ),
        (
            CHOSEN.remove(),
            "madang files rm -r 'folder:digits/train/a b' folder:digits/train/c",
        ),
    ],
)
def test_the_command_is_shown_and_makes_a_job(words: list[str], line: str) -> None:
    shown, call = lines(words)
    assert shown == line
    assert repr(words) in call
    assert file_job(words).command[0] == f"madang-{words[0]}"


def test_names_that_look_like_options_stay_names() -> None:
    words = Chosen("f", "", ("-x",)).archive("a.tar")
    assert words[-1] == "./-x"


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: CHOSEN.copy(" / ", verify=False), "target"),
        (lambda: CHOSEN.archive("a/b.tar"), "name"),
        (lambda: CHOSEN.archive(""), "name"),
        (lambda: CHOSEN.modes(""), "mode"),
    ],
)
def test_what_is_missing_is_said_at_its_field(make: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()  # type: ignore[operator]
    assert caught.value.field == field
