"""The native file commands in tasks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from madang.core.errors import Unsupported
from madang.files.commands import command_path
from madang.server.cluster.agent.commands import install_commands
from tests.server.cluster.conftest import Node, boxed

try:
    command_path("chmod")
except Unsupported:
    pytest.skip("madang-native is not installed", allow_module_level=True)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
async def test_a_task_finds_them_without_an_environment_and_can_not_write_there(
    node: Node,
) -> None:
    script = (
        "mkdir -p d/e && madang-chmod -R 700 d && madang-rm -rv d;"
        ' cp /bin/sh "$(dirname "$(command -v madang-rm)")/evil" || echo refused'
    )
    ended = await node.run(boxed("files", "sh", "-c", script))
    log = node.log("files")
    assert ended["exit_code"] == 0, log
    assert "removed directory 'd/e'" in log
    assert log.rstrip().endswith("refused")


def test_they_are_copied_once_and_anew_when_they_change(tmp_path: Path) -> None:
    folder = tmp_path / "commands"
    assert install_commands(folder)
    before = (folder / "madang-rm").stat()
    assert before.st_mode & 0o777 == 0o755
    assert install_commands(folder)
    assert (folder / "madang-rm").stat().st_ino == before.st_ino
    (folder / "madang-rm").write_text("an older one")
    assert install_commands(folder)
    assert (folder / "madang-rm").stat().st_size == before.st_size
    assert not list(folder.glob(".*"))
