"""What is asked of chosen files in a folder, as the words of a file command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from madang.core.errors import InvalidInput

Lines = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Things in a folder, by their paths in it; `directory` is where they are."""

    folder: str
    directory: str
    paths: tuple[str, ...]

    def place(self, path: str = "") -> str:
        return f"folder:{self.folder}/{path}" if path else f"folder:{self.folder}"

    @property
    def places(self) -> list[str]:
        return [self.place(path) for path in self.paths]

    def copy(self, target: str, verify: bool) -> list[str]:
        """`target` is `FOLDER` or `FOLDER/path`, a directory. Raises InvalidInput."""
        name = target.strip().removeprefix("folder:").strip("/ ")
        if not name:
            raise InvalidInput("it is not said where to", field="target", hint="FOLDER/path")
        checked = ["--verify"] if verify else []
        return ["cp", "-rp", "--resume", *checked, "-t", f"folder:{name}", *self.places]

    def archive(self, name: str) -> list[str]:
        """An archive beside them. Raises InvalidInput."""
        if not name or "/" in name:
            raise InvalidInput(
                f"{name!r} is no name of a file", field="name", hint="Such as train.tar.zst"
            )
        target = f"{self.directory}/{name}" if self.directory else name
        names = [path.rpartition("/")[2] for path in self.paths]
        members = [f"./{one}" if one.startswith("-") else one for one in names]
        compression = {".gz": ["-z"], ".tgz": ["-z"], ".zst": ["--zstd"]}
        packed = next((flag for end, flag in compression.items() if name.endswith(end)), [])
        here = self.place(self.directory)
        return ["tar", "-c", *packed, "-f", self.place(target), "-C", here, *members]

    def modes(self, mode: str) -> list[str]:
        """Raises InvalidInput."""
        if not mode:
            raise InvalidInput("no mode is given", field="mode", hint="Such as g+rX or 750")
        return ["chmod", "-R", mode, *self.places]

    def remove(self) -> list[str]:
        return ["rm", "-r", *self.places]


def lines(words: Sequence[str]) -> Lines:
    """The command and the call that do the same."""
    call = f"from madang.client import Client\n\nClient().files.run({list(words)!r})"
    return shlex.join(["madang", "files", *words]), call
