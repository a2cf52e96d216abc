"""Datasets in a job: which files, with which label, and which of them are yours.

    from madang.data import Dataset

    digits = Dataset("digits@1:train").shard(rank, world)
    for path, label in digits:
        ...

Needs the standard library, numpy and madang-native, no more.
"""

from madang.data.build import BuildResult, build_manifest
from madang.data.dataset import Dataset, Item
from madang.data.manifest import Manifest, read_manifest, write_manifest
from madang.data.views import check_rule, hash_split, rule_mask

__all__ = [
    "BuildResult",
    "Dataset",
    "Item",
    "Manifest",
    "build_manifest",
    "check_rule",
    "hash_split",
    "read_manifest",
    "rule_mask",
    "write_manifest",
]
