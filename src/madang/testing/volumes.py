"""What every volume must do, as tests: a kind of volume is right when it passes.

class TestMyVolume(VolumeContract):
    @pytest.fixture
    def volume(self, tmp_path):
        return MyVolume(tmp_path)
"""

from __future__ import annotations

import errno
import os
import stat

import pytest

from madang.server.storage.volumes import Owner, SupportsQuota, Volume

PATH = "folders/fold-1/data"
QUOTA_ID = 870_001


class VolumeContract:
    """Give a fixture `volume`: an empty volume that the test may fill."""

    def test_a_new_folder_is_closed_to_others(self, volume: Volume) -> None:
        volume.create_folder(PATH, Owner())
        data, container = volume.root / PATH, volume.container(PATH)
        assert stat.S_IMODE(data.stat().st_mode) == 0o2770
        assert stat.S_IMODE(container.stat().st_mode) == 0o700
        assert data.is_relative_to(container)

    def test_a_new_folder_belongs_to_its_owner(self, volume: Volume) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        volume.create_folder(PATH, Owner(200_001, 870_001))
        status = (volume.root / PATH).stat()
        assert (status.st_uid, status.st_gid) == (200_001, 870_001)
        assert stat.S_IMODE(status.st_mode) == 0o2770

    def test_making_it_again_keeps_its_files(self, volume: Volume) -> None:
        volume.create_folder(PATH, Owner())
        (volume.root / PATH / "file").write_text("kept")
        volume.create_folder(PATH, Owner())
        assert (volume.root / PATH / "file").read_text() == "kept"

    def test_container_and_data_are_on_one_file_system(self, volume: Volume) -> None:
        """A finished upload is renamed from the container into the data."""
        volume.create_folder(PATH, Owner())
        staged = volume.container(PATH) / "staged"
        staged.write_text("whole")
        staged.rename(volume.root / PATH / "file")

    def test_removing_takes_everything_and_nothing_else(self, volume: Volume) -> None:
        outside = volume.root / "outside"
        outside.mkdir()
        (outside / "precious").write_text("x")
        volume.create_folder(PATH, Owner())
        other = volume.folder_path("fold-2")
        volume.create_folder(other, Owner())
        (volume.root / PATH / "deep/er").mkdir(parents=True)
        (volume.root / PATH / "deep/er/file").write_text("x")
        (volume.root / PATH / "way-out").symlink_to(outside)
        volume.remove_folder(PATH)
        volume.remove_folder(PATH)
        assert not volume.container(PATH).exists()
        assert (outside / "precious").exists()
        assert (volume.root / other).is_dir()
        assert os.listdir(volume.root / "folders") == ["fold-2"]

    def test_a_purge_that_was_cut_short_is_finished(self, volume: Volume) -> None:
        volume.create_folder(PATH, Owner())
        container = volume.container(PATH)
        container.rename(container.with_name(f"{container.name}.purged"))
        volume.remove_folder(PATH)
        assert os.listdir(volume.root / "folders") == []

    def test_it_says_how_much_fits(self, volume: Volume) -> None:
        space = volume.space()
        assert 0 < space.free_bytes <= space.total_bytes


class QuotaContract(VolumeContract):
    """For volumes that enforce quotas."""

    LIMIT_BYTES = 8 * 2**20

    def test_writing_over_the_quota_fails(self, volume: Volume) -> None:
        assert isinstance(volume, SupportsQuota)
        volume.create_folder(PATH, Owner())
        volume.set_quota(PATH, QUOTA_ID, self.LIMIT_BYTES)
        with pytest.raises(OSError) as failed:
            self._fill(volume, self.LIMIT_BYTES * 2)
        assert failed.value.errno == errno.EDQUOT
        written = sum(file.stat().st_size for file in (volume.root / PATH).iterdir())
        assert written <= self.LIMIT_BYTES
        assert 0 < volume.quota_usage(PATH, QUOTA_ID) <= self.LIMIT_BYTES

    def test_lifting_it_lets_one_go_on(self, volume: Volume) -> None:
        assert isinstance(volume, SupportsQuota)
        volume.create_folder(PATH, Owner())
        volume.set_quota(PATH, QUOTA_ID, self.LIMIT_BYTES)
        volume.set_quota(PATH, QUOTA_ID, None)
        self._fill(volume, self.LIMIT_BYTES * 2)

    def test_it_limits_one_folder_alone(self, volume: Volume) -> None:
        assert isinstance(volume, SupportsQuota)
        other = volume.folder_path("fold-2")
        volume.create_folder(other, Owner())
        volume.set_quota(other, QUOTA_ID + 1, self.LIMIT_BYTES)
        volume.create_folder(PATH, Owner())
        self._fill(volume, self.LIMIT_BYTES * 2)

    def _fill(self, volume: Volume, num_bytes: int) -> None:
        """Write random bytes, which no file system can make smaller, and make them count."""
        for number in range(num_bytes // 2**20):
            with (volume.root / PATH / f"{number}").open("wb") as file:
                file.write(os.urandom(2**20))
                file.flush()
                os.fsync(file.fileno())
