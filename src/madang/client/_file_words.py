"""From the words of a file command to the job that runs it where the folders are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from madang.core.errors import InvalidInput
from madang.files.commands import NAMES
from madang.schemas.jobs import JobCreate, JobMount

FOLDER = "folder:"
"""What a path in one of the platform's folders begins with: `folder:NAME/path`."""

_READ = frozenset({"du", "find", "ls", "stat"})
"""Commands that change nothing."""

_LAST_IS_WRITTEN = frozenset({"cp", "sync"})
_FIRST_IS_WRITTEN = frozenset({"tar"})
_TARGET = ("-t", "--target-directory")


def names_folder(word: str) -> bool:
    return word.startswith(FOLDER)


def file_job(words: Sequence[str], project: str | None = None) -> JobCreate:
    """The job for `["cp", "-r", "folder:digits/train", "folder:copy"]`.

    Each folder is mounted, only for reading where the command only reads it. Raises InvalidInput
    for a command that is none, for paths outside of folders, and when no folder is named.
    """
    if not words or words[0] not in NAMES:
        raise InvalidInput(
            f"{words[0] if words else ''!r} is no file command",
            field="words",
            hint=f"There are {', '.join(sorted(NAMES))}.",
        )
    command, rest = words[0], list(words[1:])
    folders = [_folder_of(word) for word in rest if names_folder(word)]
    if not folders:
        raise InvalidInput(
            "no folder is named",
            field="words",
            hint="A path in a folder is written folder:NAME/path.",
        )
    written = _written(command, rest, folders)
    for word in rest:
        _refuse_local(word, below_a_folder=command == "tar" and "-C" in rest)
    return JobCreate(
        [f"madang-{command}", *(_inside(word) for word in rest)],
        name=f"files-{command}",
        project=project,
        mounts=[
            JobMount(folder, read_only=folder not in written) for folder in dict.fromkeys(folders)
        ],
        labels={"files": command},
    )


def _written(command: str, words: Sequence[str], folders: Sequence[str]) -> set[str]:
    if command in _READ:
        return set()
    if command in _LAST_IS_WRITTEN:
        into = [word for flag, word in pairwise(words) if flag in _TARGET and names_folder(word)]
        return {_folder_of(into[0])} if into else {folders[-1]}
    extracts = any(word.lstrip("-").startswith("x") for word in words[:1]) or "--extract" in words
    if command in _FIRST_IS_WRITTEN and not extracts:
        return {folders[0]}
    return set(folders)


def _folder_of(word: str) -> str:
    folder = word.removeprefix(FOLDER).partition("/")[0]
    if not folder:
        raise InvalidInput(
            f"{word!r} names no folder",
            field="words",
            hint="A path in a folder is written folder:NAME/path.",
        )
    return folder


def _inside(word: str) -> str:
    """Where the job finds it."""
    if not names_folder(word):
        return word
    folder, _, path = word.removeprefix(FOLDER).partition("/")
    if ".." in path.split("/"):
        raise InvalidInput(f"{word!r} leads out of the folder", field="words")
    return f"/mnt/{folder}/{path}" if path else f"/mnt/{folder}"


def _refuse_local(word: str, *, below_a_folder: bool) -> None:
    if word.startswith(("/", "../", "~")) or (word.startswith("./") and not below_a_folder):
        raise InvalidInput(
            f"{word!r} is a path of this machine; the job runs where the folder is",
            field="words",
            hint="`madang folder upload` and `download` carry files between here and a folder.",
        )
