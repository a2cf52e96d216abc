"""A dataset as training code sees it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from madang.core.errors import InvalidInput, NotFound
from madang.data.manifest import Manifest, read_manifest
from madang.data.views import rule_mask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VARIABLE = "MADANG_DATASETS"

_REF = re.compile(r"(?P<base>[^@:]+(?:@[0-9]+)?)(?::(?P<view>[^@:]+))?")


class Item(NamedTuple):
    """A file's absolute path and its label: an index into `Dataset.classes`, -1 for none."""

    path: str
    label: int


class Dataset(Sequence[Item]):
    """A version of a dataset, or a part of one: `Dataset("digits@1:train")`.

    The reference must be one that the job was submitted with (`--dataset digits@1:train`), or
    another view of such a version. Raises NotFound when it is not, InvalidInput for what is no
    reference. Reading is safe from several threads.
    """

    def __init__(self, ref: str, *, variables: dict[str, str] | None = None) -> None:
        entry, rule = _find(ref, os.environ if variables is None else variables)
        manifest = read_manifest(entry["manifest"])
        self._set(ref, manifest, entry["root"], rule)

    @classmethod
    def open(
        cls,
        manifest: str | Path,
        root: str | Path,
        *,
        rule: dict[str, Any] | None = None,
        ref: str = "",
    ) -> Dataset:
        """A dataset from a manifest and the directory its paths start from, outside of a job."""
        made = cls.__new__(cls)
        made._set(ref or os.fspath(manifest), read_manifest(manifest), os.fspath(root), rule)
        return made

    def _set(self, ref: str, manifest: Manifest, root: str, rule: dict[str, Any] | None) -> None:
        import numpy as np

        self.ref = ref
        self.root = root
        self.manifest = manifest
        self._root = os.fsencode(root).rstrip(b"/") + b"/"
        self.indices: NDArray[np.int64] = (
            np.arange(len(manifest), dtype=np.int64)
            if rule is None
            else np.flatnonzero(rule_mask(rule, manifest.hashes)).astype(np.int64)
        )
        """Which items of the version these are, as positions in its manifest."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their labels; the same for every view."""
        return self.manifest.classes

    @property
    def labels(self) -> NDArray[np.int32]:
        """The labels of all items, in order."""
        return self.manifest.labels[self.indices]

    @property
    def sizes(self) -> NDArray[np.uint64]:
        """The sizes of all items in bytes, in order, as of when the version was made."""
        return self.manifest.sizes[self.indices]

    def shard(self, rank: int, world: int) -> Dataset:
        """The part of worker `rank` among `world`: together the shards hold each item once.

        Nothing is padded: the shards' lengths differ by at most one. Raises InvalidInput.
        """
        if world < 1 or not 0 <= rank < world:
            raise InvalidInput(
                f"there is no shard {rank} of {world}",
                field="rank",
                hint="Ranks count from 0 up to, not including, the number of workers.",
            )
        return self._part(self.indices[rank::world])

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Item | Dataset:
        if isinstance(index, slice):
            return self._part(self.indices[index])
        return self._item(int(self.indices[index]))

    def __iter__(self) -> Iterator[Item]:
        for index in self.indices:
            yield self._item(int(index))

    def __repr__(self) -> str:
        return f"Dataset({self.ref!r}, {len(self)} items, {len(self.classes)} classes)"

    def _item(self, index: int) -> Item:
        path = os.fsdecode(self._root + self.manifest.path(index))
        return Item(path, int(self.manifest.labels[index]))

    def _part(self, indices: NDArray[np.int64]) -> Dataset:
        part = type(self).__new__(type(self))
        part.__dict__ = {**self.__dict__, "indices": indices}
        return part


def _find(ref: str, variables: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The job's entry for the reference, and the rule of its view."""
    match = _REF.fullmatch(ref)
    if match is None:
        raise InvalidInput(
            f"{ref!r} is not a dataset reference", hint="Write NAME[@VERSION][:VIEW]."
        )
    entries: dict[str, dict[str, Any]] = json.loads(variables.get(VARIABLE) or "{}")
    if ref in entries:
        return entries[ref], entries[ref].get("view")
    for other, entry in entries.items():
        other_match = _REF.fullmatch(other)
        if other_match is None or other_match["base"] != match["base"]:
            continue
        if match["view"] is None:
            return entry, None
        if match["view"] in entry.get("views", {}):
            return entry, entry["views"][match["view"]]
    had = ", ".join(entries) or "none"
    raise NotFound(
        f"this job has no dataset {ref!r}",
        hint=f"It has: {had}. Submit it with `--dataset {ref}`.",
    )
