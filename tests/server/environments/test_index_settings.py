"""What is configured for pip and uv holds for the builder."""

from __future__ import annotations

from pathlib import Path

from madang.server.environments.index_settings import index_settings


def test_pip_variables_become_uvs(tmp_path: Path) -> None:
    found = index_settings(
        {
            "PIP_INDEX_URL": "https://mirror/simple",
            "PIP_EXTRA_INDEX_URL": "https://a/simple https://b/simple",
            "PIP_FIND_LINKS": str(tmp_path),
            "PIP_CERT": "/certs.pem",
            "HTTPS_PROXY": "http://proxy:3128",
            "AWS_SECRET_ACCESS_KEY": "not for the builder",
            "UV_CACHE_DIR": "/elsewhere",
        },
        find_links=["/wheels", ""],
        pip_files=[],
    )
    assert found.variables == {
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_INDEX": "https://a/simple https://b/simple",
        "UV_FIND_LINKS": f"/wheels,{tmp_path}",
        "SSL_CERT_FILE": "/certs.pem",
        "HTTPS_PROXY": "http://proxy:3128",
    }
    assert found.paths == (tmp_path,)


def test_uvs_own_win() -> None:
    found = index_settings(
        {"UV_DEFAULT_INDEX": "https://uv", "PIP_INDEX_URL": "https://pip"}, pip_files=[]
    )
    assert found.variables == {"UV_DEFAULT_INDEX": "https://uv"}


def test_pip_files(tmp_path: Path) -> None:
    site = tmp_path / "site.conf"
    site.write_text("[global]\nindex-url = https://first\nfind-links = /one\n  /two\n")
    user = tmp_path / "user.conf"
    user.write_text("[install]\nindex_url = https://second\n")
    broken = tmp_path / "broken.conf"
    broken.write_text("no section\n")
    found = index_settings({}, pip_files=[site, user, broken, tmp_path / "missing"])
    assert found.variables["UV_DEFAULT_INDEX"] == "https://second"
    assert found.variables["UV_FIND_LINKS"] == "/one,/two"


def test_a_local_index_is_shown_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "mirror/simple").mkdir(parents=True)
    found = index_settings(
        {"UV_INDEX": f"lab=file://{tmp_path}/mirror/simple/ https://x/simple"}, pip_files=[]
    )
    assert found.paths == (tmp_path / "mirror",)


def test_no_index() -> None:
    assert index_settings({"PIP_NO_INDEX": "1"}, pip_files=[]).options == ("--no-index",)
    assert index_settings({"PIP_NO_INDEX": "0"}, pip_files=[]).options == ()
