"""What may be asked for in an environment."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.core.errors import InvalidInput
from madang.server.environments.specs import (
    check_python,
    environment_digest,
    normal_packages,
)


def test_one_way_of_writing() -> None:
    packages = ["Torch == 2.13.0", "torch==2.13.0", "Scikit_Learn>=1.4, <2", "a[y,x] (==1.*)"]
    assert normal_packages(packages) == ["a[x,y]==1.*", "scikit-learn<2,>=1.4", "torch==2.13.0"]


def test_markers_are_kept() -> None:
    (spec,) = normal_packages(["numpy>=2 ;  python_version >= '3.11'"])
    assert spec == "numpy>=2 ; python_version >= '3.11'"


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("--index-url=http://evil", "option"),
        ("-r requirements.txt", "option"),
        ("https://host/a-1-py3-none-any.whl", "address"),
        ("a @ https://host/a-1.whl", "address"),
        ("a@git+ssh://host/a", "address"),
        ("git+https://host/a", "address"),
        ("a @ file:///etc", "address"),
        ("a @ file:etc", "address"),
        ("./a", "file"),
        ("/etc/passwd", "file"),
        ("a-1.0-py3-none-any.whl", "file"),
        ("", "does not name"),
        ("a b", "does not name"),
        ("a==1 --hash=sha256:0", "does not name"),
        ("a\n--index-url=x", "does not name"),
        ("a==1; python_version > '3' @ http://x", "address"),
        ("a" * 600, "does not name"),
    ],
)
def test_refused(spec: str, word: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        normal_packages(["numpy", spec])
    assert word in str(raised.value)
    assert raised.value.hint


def test_addresses_where_allowed() -> None:
    spec = "a @ git+https://host/a@v1"
    assert normal_packages([spec], allow_direct=True) == [spec]
    with pytest.raises(InvalidInput):
        normal_packages(["--index-url=x"], allow_direct=True)


def test_too_many() -> None:
    with pytest.raises(InvalidInput, match="501"):
        normal_packages([f"p{number}" for number in range(501)])


@pytest.mark.parametrize("python", ["3", "2.7", "3.11.2", "3.11 ", "../3.11", ""])
def test_python_versions(python: str) -> None:
    assert check_python("3.12") == "3.12"
    with pytest.raises(InvalidInput):
        check_python(python)


NAMES = st.from_regex(r"\A[a-z][a-z0-9]{0,6}\Z")
SPECS = st.builds(lambda n, v: f"{n}=={v}", NAMES, st.integers(0, 9))


@given(st.lists(SPECS, max_size=6), st.randoms())
def test_the_digest_is_of_the_content(packages: list[str], shuffler: random.Random) -> None:
    """Order, repetition and case don't matter; any other difference does."""
    shuffled = [*packages, *packages]
    shuffler.shuffle(shuffled)
    written = [package.upper() for package in shuffled]
    digest = environment_digest(normal_packages(packages), "3.11", ["m==1"])
    assert environment_digest(normal_packages(written), "3.11", ["m==1"]) == digest
    assert environment_digest(normal_packages([*packages, "zz-new"]), "3.11", ["m==1"]) != digest
    assert environment_digest(normal_packages(packages), "3.12", ["m==1"]) != digest
    assert environment_digest(normal_packages(packages), "3.11", ["m==2"]) != digest
