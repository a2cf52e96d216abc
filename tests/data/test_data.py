"""Manifests, views and shards: exact, whatever is in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from madang import files
from madang.core.errors import InvalidInput, NotFound, Unsupported
from madang.data import (
    Dataset,
    build_manifest,
    hash_split,
    read_manifest,
    rule_mask,
    write_manifest,
)
from madang.data import build as build_module
from madang.data.build import BuildResult
from madang.data.manifest import make_manifest, path_hash

ITEMS = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=30),
        st.integers(0, 2**63 - 1),
        st.integers(-(2**62), 2**62),
        st.integers(-1, 2),
    ),
    max_size=30,
    unique_by=lambda item: item[0],
)


def build(root: Path) -> BuildResult:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return build_manifest(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for number in range(100):
        path = root / f"class {number % 3}" / f"한글-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    (root / "top.txt").write_text("no class")
    (root / ".hidden").write_text("x")
    (root / "class 0/.git").mkdir()
    (root / "class 0/.git/config").write_text("x")
    (root / "link").symlink_to("top.txt")
    with open(os.fsencode(root) + b"/class 1/\xff.png", "wb") as file:
        file.write(b"not utf-8")
    return root


@settings(max_examples=50)
@given(items=ITEMS)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[bytes, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "m"
    made = make_manifest(sorted(items), ("a", "b", "\udcff"))
    write_manifest(made, path)
    found = read_manifest(path)
    assert len(found) == len(items)
    assert (found.classes, found.digest) == (made.classes, made.digest)
    got = [
        (
            found.path(index),
            int(found.sizes[index]),
            int(found.mtimes_ns[index]),
            int(found.labels[index]),
        )
        for index in range(len(found))
    ]
    assert got == sorted(items)
    assert [int(number) for number in found.hashes] == [path_hash(item[0]) for item in got]


def test_a_manifest_of_a_tree(tree: Path) -> None:
    built = build(tree)
    manifest = built.manifest
    assert len(manifest) == 102
    assert manifest.classes == ("class 0", "class 1", "class 2")
    paths = [manifest.path(index) for index in range(len(manifest))]
    assert paths == sorted(paths)
    labels = dict(zip(paths, manifest.labels, strict=True))
    assert labels[b"top.txt"] == -1
    assert labels[b"class 1/\xff.png"] == 1
    assert built.skipped == {"hidden": 2, "symlink": 1}
    assert (built.stable, built.listed_with) == (True, "native")


def test_without_the_native_library_it_is_the_same_and_says_so(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(root: int) -> object:
        raise Unsupported("not installed")

    native = build(tree)
    monkeypatch.setattr(build_module, "scan", missing)
    python = build(tree)
    assert python.listed_with == "python"
    assert python.manifest.digest == native.manifest.digest
    assert python.skipped == native.skipped


def test_files_that_change_meanwhile_are_noticed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.scan
    listings: list[int] = []

    def scan(root: int) -> object:
        (tree / f"new-{len(listings)}").write_text("x")
        listings.append(1)
        return real(root)

    monkeypatch.setattr(build_module, "scan", scan)
    built = build(tree)
    assert not built.stable
    assert len(built.manifest) == 102 + len(listings)


def test_the_digest_is_of_the_content(tree: Path) -> None:
    first = build(tree).manifest.digest
    assert build(tree).manifest.digest == first
    os.utime(tree / "top.txt", (1, 1))
    second = build(tree).manifest.digest
    assert second != first
    (tree / "top.txt").rename(tree / "class 0/top.txt")
    assert build(tree).manifest.digest not in (first, second)


@pytest.mark.parametrize("damage", ["magic", "format", "cut", "header", "empty"])
def test_a_file_that_is_no_manifest(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "m"
    write_manifest(make_manifest([(b"a", 1, 2, -1)], ()), path)
    content = bytearray(path.read_bytes())
    if damage == "magic":
        content[0] ^= 1
    elif damage == "format":
        content[8] = 99
    elif damage == "cut":
        del content[-64:]
    elif damage == "header":
        content[20] ^= 0x40
    else:
        content.clear()
    path.unlink()
    path.write_bytes(bytes(content))
    with pytest.raises(InvalidInput):
        read_manifest(path)
    with pytest.raises(NotFound):
        read_manifest(tmp_path / "none")


@given(
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**63 - 1),
    old=st.sets(st.binary(min_size=1, max_size=8), max_size=50),
    new=st.sets(st.binary(min_size=1, max_size=8), max_size=50),
)
def test_an_item_stays_on_its_side_as_data_arrives(
    fraction: float, seed: int, old: set[bytes], new: set[bytes]
) -> None:
    rules = hash_split({"train": 1 - fraction, "test": fraction}, seed)

    def sides(paths: set[bytes]) -> dict[bytes, str]:
        ordered = sorted(paths)
        hashes = np.array([path_hash(path) for path in ordered], dtype=np.uint64)
        masks = {name: rule_mask(rule, hashes) for name, rule in rules.items()}
        assert np.all(sum(mask.astype(int) for mask in masks.values()) == 1)
        return {
            path: next(name for name, mask in masks.items() if mask[index])
            for index, path in enumerate(ordered)
        }

    before, after = sides(old), sides(old | new)
    assert before == {path: after[path] for path in before}


def test_a_split_has_about_its_part_and_seeds_differ() -> None:
    hashes = np.array([path_hash(f"{n}.png".encode()) for n in range(20_000)], dtype=np.uint64)
    one, two = (
        rule_mask(hash_split({"rest": 0.8, "test": 0.2}, seed)["test"], hashes) for seed in (1, 2)
    )
    assert abs(one.mean() - 0.2) < 0.01
    assert abs((one & two).mean() - 0.04) < 0.01


def test_the_split_is_for_ever() -> None:
    """Existing views must mean the same in all versions of madang."""
    hashes = np.array([path_hash(f"{n}".encode()) for n in range(16)], dtype=np.uint64)
    mask = rule_mask(hash_split({"train": 0.5, "test": 0.5}, 7)["test"], hashes)
    assert path_hash(b"0") == 8493733112532773764
    assert "".join("01"[bit] for bit in mask.astype(int)) == "1100111111100001"


@pytest.mark.parametrize(
    "fractions",
    [{}, {"a": 0.5}, {"a": 1.2, "b": -0.2}, {"a": 0.0, "b": 1.0}, {"a": 0.6, "b": 0.6}],
)
def test_parts_that_make_no_whole(fractions: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        hash_split(fractions)


@given(size=st.integers(0, 60), world=st.integers(1, 70))
def test_shards_hold_each_item_once(
    tmp_path_factory: pytest.TempPathFactory, size: int, world: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"shards-{size}"
    if not path.exists():
        items = [(f"{number:03}".encode(), number, 0, -1) for number in range(size)]
        write_manifest(make_manifest(items, ()), path)
    dataset = Dataset.open(path, "/data")
    shards = [dataset.shard(rank, world) for rank in range(world)]
    assert sorted(item.path for shard in shards for item in shard) == [i.path for i in dataset]
    lengths = [len(shard) for shard in shards]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(("rank", "world"), [(0, 0), (-1, 2), (2, 2)])
def test_a_shard_that_can_not_be(tree: Path, tmp_path: Path, rank: int, world: int) -> None:
    write_manifest(build(tree).manifest, tmp_path / "m")
    with pytest.raises(InvalidInput):
        Dataset.open(tmp_path / "m", tree).shard(rank, world)


def test_a_dataset_reads_like_a_sequence(tree: Path, tmp_path: Path) -> None:
    write_manifest(build(tree).manifest, tmp_path / "m")
    dataset = Dataset.open(tmp_path / "m", tree)
    assert len(dataset) == 102
    assert all(os.path.exists(path) for path, _ in dataset)
    assert dataset[-1] == list(dataset)[-1]
    assert [item.path for item in dataset[5:8]] == [dataset[i].path for i in (5, 6, 7)]
    assert dataset.labels.tolist() == [label for _, label in dataset]
    assert int(dataset.sizes.sum()) == sum(os.path.getsize(path) for path, _ in dataset)
    with pytest.raises(IndexError):
        dataset[102]


def test_a_job_without_the_dataset_is_told_so() -> None:
    with pytest.raises(NotFound, match="no dataset 'digits@1'"):
        Dataset("digits@1", variables={})
    variables = {"MADANG_DATASETS": json.dumps({"other@1": {}})}
    with pytest.raises(NotFound) as missing:
        Dataset("digits", variables=variables)
    assert "other@1" in str(missing.value)
    with pytest.raises(InvalidInput):
        Dataset("@1", variables={})
