"""Volumes: the contract for each kind that can be made here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from madang.core.errors import Unsupported
from madang.server.storage.volumes import SupportsQuota, Volume, open_volume
from madang.server.storage.volumes.btrfs import BtrfsVolume
from madang.server.storage.volumes.detect import find_mount
from madang.server.storage.volumes.path import PathVolume
from madang.testing.volumes import QUOTA_ID, QuotaContract, VolumeContract

MOUNTS = """\
/dev/root / ext4 rw,relatime 0 0
/dev/sda1 /data xfs rw,prjquota 0 0
/dev/sdb1 /data/my\\040disk ext4 rw,prjquota 0 0
tmpfs /data/deep tmpfs rw 0 0
/dev/sdc1 /data/deep ext4 rw 0 0
"""


class TestPathVolume(VolumeContract):
    @pytest.fixture
    def volume(self, tmp_path: Path) -> Volume:
        return PathVolume(tmp_path)


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """A Btrfs file system on a loop device."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    image, mount = tmp_path / "image", tmp_path / "btrfs"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(256 * 2**20)
    try:
        subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True, capture_output=True)
        subprocess.run(
            ["mount", "-o", "loop", str(image), str(mount)], check=True, capture_output=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no Btrfs here: {error}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True, capture_output=True)


@pytest.mark.root
class TestBtrfsVolume(QuotaContract):
    @pytest.fixture
    def volume(self, btrfs: Path) -> Volume:
        volume = open_volume(btrfs)
        assert isinstance(volume, BtrfsVolume)
        return volume

    def test_a_plain_directory_can_not_be_limited(self, volume: Volume) -> None:
        assert isinstance(volume, SupportsQuota)
        (volume.root / "folders/old/data").mkdir(parents=True)
        with pytest.raises(Unsupported, match="before its volume"):
            volume.set_quota("folders/old/data", QUOTA_ID, 2**20)
        volume.remove_folder("folders/old/data")
        assert not (volume.root / "folders/old").exists()


@pytest.mark.parametrize(
    ("path", "mount", "kind"),
    [
        ("/home/x", "/", "ext4"),
        ("/data/x", "/data", "xfs"),
        ("/data/my disk/x", "/data/my disk", "ext4"),
        ("/data/deep/x", "/data/deep", "ext4"),
        ("/database", "/", "ext4"),
    ],
)
def test_the_mount_that_a_path_is_on(path: str, mount: str, kind: str) -> None:
    found = find_mount(Path(path), MOUNTS)
    assert (str(found.path), found.kind) == (mount, kind)
