# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Work on many files in folders, where the folders are."""

from __future__ import annotations

from collections.abc import Sequence

from madang.client._sync._base import Resource
from madang.client._sync.jobs import Jobs
from madang.client._file_words import file_job
from madang.schemas.jobs import Job


class Files(Resource):
    """`client.files`: the file commands, on folders."""

    def run(self, words: Sequence[str], *, project: str | None = None) -> Job:
        """Run a file command as a job of yours on a node that has the folders, e.g.
        `run(["cp", "-r", "folder:digits/train", "folder:copy/train"])`.

        It takes what the native command takes (`madang files cp --help`), with paths in folders as
        `folder:NAME/path`. Its log is what the command prints, its metrics how far it is. Raises
        InvalidInput for a command that is none or a path of this machine, NotFound for a folder
        that is not hers to see, Forbidden for one that she may not write to.
        """
        return Jobs(self._transport).create(file_job(words, project))
