"""Building for real, with uv, from wheels that the test writes itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from madang.core.settings import Settings
from madang.server.cluster.protocol import EnvironmentBuild, EnvironmentBuilt
from madang.server.environments.builder import BUILDER_UID, _is_uvs_own, build, log_path
from madang.server.paths import StatePaths, make_folder
from tests.server.environments.wheels import write_wheel

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SANDBOXES = [
    "none",
    pytest.param(
        "bwrap",
        marks=pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed"),
    ),
]

Builder = Callable[..., tuple[Path, EnvironmentBuilt]]


@pytest.fixture(params=SANDBOXES)
def builder(request: pytest.FixtureRequest, tmp_path: Path) -> Builder:
    """Builds an environment named by its packages, without any index."""
    wheels = tmp_path / "wheels"
    make_folder(wheels, 0o755)
    write_wheel(wheels, "alpha", "1.0", code="def hello():\n    print('hello')\n")
    write_wheel(wheels, "alpha", "2.0")
    write_wheel(wheels, "beta", "1.0", requires=("alpha<2",), code="import alpha\n")
    settings = Settings(
        state_dir=tmp_path / "state", sandbox=request.param, find_links=str(wheels)
    )
    settings.state_dir.mkdir(mode=0o700)

    def build_it(*packages: str, python: str = PYTHON) -> tuple[Path, EnvironmentBuilt]:
        path = StatePaths(settings.state_dir).environments / "-".join(packages)
        order = EnvironmentBuild("digest", packages, python, str(path))
        return path, build(order, settings, {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"})

    return build_it


def run_python(path: Path, code: str) -> str:
    command = [f"{path}/bin/python", "-I", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_builds_compiles_and_locks(builder: Builder) -> None:
    path, built = builder("beta")
    assert built.ok, built.error
    assert built.lock == ("alpha==1.0", "beta==1.0")
    assert (path / "environment.lock").read_text() == "alpha==1.0\nbeta==1.0\n"
    assert built.size_bytes > 0
    where = run_python(path, "import beta; print(beta.__file__, beta.__cached__)")
    source, cached = where.split()
    assert source.startswith(str(path)) and Path(cached).exists()
    assert not list(path.parent.glob(".workshop/building-*"))


def test_scripts_run_where_the_environment_is(builder: Builder) -> None:
    """It was built in another folder: scripts must not point back to that one."""
    path, _ = builder("alpha==1.0")
    script = path / "bin" / "alpha-hello"
    assert subprocess.run([script], check=True, capture_output=True, text=True).stdout == "hello\n"


def test_a_second_environment_links_what_the_first_compiled(builder: Builder) -> None:
    builder("alpha==1.0")
    path, built = builder("beta")
    assert built.ok
    assert "Compiling 1 files of 1 packages" in log_path(path).read_text()
    assert run_python(path, "import alpha, os; print(os.path.exists(alpha.__cached__))") == "True"


def test_compiled_code_tells_the_right_file(builder: Builder) -> None:
    builder("alpha==1.0")
    path, _ = builder("beta")
    told = run_python(path, "import alpha; print(alpha.hello.__code__.co_filename)")
    assert told == f"{path}/lib/python{PYTHON}/site-packages/alpha/__init__.py"


def test_what_is_built_is_not_built_again(builder: Builder) -> None:
    path, _ = builder("alpha==1.0")
    marker = path / "marker"
    marker.touch()
    _, again = builder("alpha==1.0")
    assert again.ok and marker.exists()


def test_half_an_environment_is_built_anew(builder: Builder) -> None:
    """As after a power cut, or an agent killed in the middle."""
    path, _ = builder("alpha==1.0")
    (path / "environment.lock").unlink()
    (path / "bin" / "python").unlink()
    _, again = builder("alpha==1.0")
    assert again.ok
    assert run_python(path, "import alpha; print(alpha.__name__)") == "alpha"


def test_the_resolvers_message(builder: Builder) -> None:
    path, built = builder("beta", "alpha==2.0")
    assert not built.ok
    assert "beta" in built.error and "alpha" in built.error and "Using Python" not in built.error
    assert built.error.splitlines()[-1] in log_path(path).read_text()
    assert not path.exists() and not list(path.parent.glob(".workshop/building-*"))


def test_what_only_uvs_caller_could_do_is_left_out() -> None:
    said = "hint: `a` was found on x. If all are trusted, use `--index-strategy unsafe-best-match`"
    assert _is_uvs_own(said) and _is_uvs_own("Using Python 3.11.7 environment at: /x")
    assert not _is_uvs_own("  cause: Because a was not found")


def test_a_python_that_is_not_there(builder: Builder) -> None:
    _, built = builder("alpha==1.0", python="3.99")
    assert not built.ok and "3.99" in built.error


def test_source_is_refused(builder: Builder, tmp_path: Path) -> None:
    """A source package's setup would run its author's code on the node."""
    package = tmp_path / "gamma-1.0"
    package.mkdir()
    (package / "setup.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom setuptools import setup\n"
        "setup(name='gamma', version='1.0')\n"
    )
    archive = shutil.make_archive(
        str(tmp_path / "wheels/gamma-1.0"), "gztar", tmp_path, "gamma-1.0"
    )
    Path(archive).chmod(0o644)
    _, built = builder("gamma")
    assert not built.ok and "gamma" in built.error
    assert not (tmp_path / "ran").exists()


def test_two_at_once_build_once(builder: Builder) -> None:
    results: list[EnvironmentBuilt] = []
    path = Path()

    def one() -> None:
        nonlocal path
        path, built = builder("beta")
        results.append(built)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.ok for result in results] == [True] * 3
    assert log_path(path).read_text().count("Resolved 2 packages") == 1


def test_links_only_where_nobody_can_write(
    builder: Builder, request: pytest.FixtureRequest
) -> None:
    """In a sandbox files are linked with the cache; without one each environment has its own, so
    that a task that writes into its environment changes no other."""
    first, _ = builder("alpha==1.0")
    second, _ = builder("beta")
    inside = f"lib/python{PYTHON}/site-packages/alpha/__init__.py"
    linked = (first / inside).stat().st_ino == (second / inside).stat().st_ino
    assert linked == ("bwrap" in request.node.name)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_builder_is_nobody(tmp_path: Path) -> None:
    """A source build (allowed here) runs as the builder's user, sees neither the state folder's
    other files nor other processes, and owns what it makes."""
    wheels = tmp_path / "wheels"
    make_folder(wheels, 0o755)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "madang.db").write_text("secret")
    package = tmp_path / "spy-1.0"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'spy_backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'spy'\nversion = '1.0'\n"
    )
    (package / "spy_backend.py").write_text(
        "import os\n"
        "def build_wheel(folder, *_):\n"
        f"    seen = [os.getuid(), os.path.exists({str(state / 'madang.db')!r}),\n"
        f"            os.path.exists({str(package)!r}), len(os.listdir('/proc')) > 0,\n"
        "            sum(name.isdigit() for name in os.listdir('/proc')) < 20]\n"
        "    raise SystemExit(f'SEEN {seen}')\n"
    )
    archive = shutil.make_archive(str(wheels / "spy-1.0"), "gztar", tmp_path, "spy-1.0")
    Path(archive).chmod(0o644)
    settings = Settings(
        state_dir=state, sandbox="bwrap", find_links=str(wheels), allow_source_builds=True
    )
    order = EnvironmentBuild("d", ("spy",), PYTHON, str(state / "environments" / "d"))
    built = build(order, settings, {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"})
    assert not built.ok
    assert f"SEEN [{BUILDER_UID}, False, False, True, True]" in built.error
