"""From file commands on folders to jobs."""

from __future__ import annotations

import pytest

from madang.client._file_words import file_job
from madang.core.errors import InvalidInput
from madang.schemas.jobs import JobMount


@pytest.mark.parametrize(
    ("words", "command", "mounts"),
    [
        ("rm -r folder:old/a/b", "madang-rm -r /mnt/old/a/b", [JobMount("old")]),
        ("du -s folder:big", "madang-du -s /mnt/big", [JobMount("big", read_only=True)]),
        (
            "cp -r folder:a/x folder:b/",
            "madang-cp -r /mnt/a/x /mnt/b",
            [JobMount("a", read_only=True), JobMount("b")],
        ),
        (
            "cp -r -t folder:b/y folder:a/x",
            "madang-cp -r -t /mnt/b/y /mnt/a/x",
            [JobMount("b"), JobMount("a", read_only=True)],
        ),
        (
            "tar -c -f folder:a/x.tar -C folder:a/d ./-odd",
            "madang-tar -c -f /mnt/a/x.tar -C /mnt/a/d ./-odd",
            [JobMount("a")],
        ),
        ("cp folder:a/x folder:a/y", "madang-cp /mnt/a/x /mnt/a/y", [JobMount("a")]),
        (
            "tar cf folder:out/x.tar folder:in/d",
            "madang-tar cf /mnt/out/x.tar /mnt/in/d",
            [JobMount("out"), JobMount("in", read_only=True)],
        ),
        (
            "tar -xf folder:in/x.tar -C folder:out",
            "madang-tar -xf /mnt/in/x.tar -C /mnt/out",
            [JobMount("in"), JobMount("out")],
        ),
    ],
)
def test_folders_are_mounted_and_paths_lead_there(
    words: str, command: str, mounts: list[JobMount]
) -> None:
    job = file_job(words.split(), "vision")
    assert job.command == command.split()
    assert job.mounts == mounts
    assert job.project == "vision"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("", "'' is no file command"),
        ("format folder:a", "'format' is no file command"),
        ("rm -r a/b", "no folder is named"),
        ("cp -r folder:a /home/mina/x", "'/home/mina/x' is a path of this machine"),
        ("cp -r ./here folder:a", "'./here' is a path of this machine"),
        ("rm folder:a/../b", "leads out of the folder"),
        ("rm folder:", "names no folder"),
        ("rm folder:/etc", "names no folder"),
    ],
)
def test_what_can_not_run_is_refused_in_words(words: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        file_job(words.split())
    assert caught.value.hint or "leads out" in why
