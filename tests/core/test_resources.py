"""Resources: how people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.core.errors import InvalidInput
from madang.core.resources import Resources, format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (["cpu=2", "memory=4GiB"], Resources(cpu_milli=2000, memory_bytes=4 * 2**30)),
        ({"gpu": 1}, Resources(device_kind="gpu", device_milli=1000)),
        ({"gpu": 0.25}, Resources(device_kind="gpu", device_milli=250)),
        ({"gpu_memory": "10GiB"}, Resources(device_kind="gpu", device_memory_bytes=10 * 2**30)),
        ({"accelerator": "tpu-v5e:4"}, Resources(device_kind="tpu-v5e", device_milli=4000)),
        (
            ["gpu=2", "gpu-model=H100|A100"],
            Resources(device_kind="gpu", device_milli=2000, device_models=("H100", "A100")),
        ),
        (
            {"gpu_profile": "1g.10GB"},
            Resources(device_kind="gpu", device_milli=1000, device_profile="1g.10gb"),
        ),
        (
            {"gpu": 2, "gpu_profile": "3g.40gb"},
            Resources(device_kind="gpu", device_milli=2000, device_profile="3g.40gb"),
        ),
        (
            {"counted": {"matlab": 2, "capture-card": "1", "unused": 0}},
            Resources(counted=(("capture-card", 1), ("matlab", 2))),
        ),
        ({}, Resources()),
        ({"gpu": 0}, Resources()),
    ],
)
def test_parse(request_: object, wanted: Resources) -> None:
    assert Resources.parse(request_) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (["gpu=1.5"], "whole devices and a part of one"),
        (["cpu=many"], "'cpu=many' is not a number"),
        (["cpu=0"], "out of range"),
        (["cpu=0.0001"], "at most three decimals"),
        (["cpu=nan"], "not a number"),
        (["cpu"], "'cpu' is not a resource"),
        (["gpus=1"], "Known resources: cpu"),
        (["memory=4"], "too little"),
        (["memory=4QiB"], "not an amount of memory"),
        (["memory=99999999PiB"], "more than any machine"),
        (["gpu=1", "accelerator=tpu:1"], "both"),
        (["gpu_model=H100"], "asks for no GPU"),
        (["accelerator=:4"], "names no accelerator"),
        ({"gpu": True}, "not a number"),
        (["gpu=0.5", "gpu_profile=1g.10gb"], "a part of a slice"),
        (["gpu=0", "gpu_profile=1g.10gb"], "asks for no GPU"),
        (["gpu_profile=1g 10gb"], "is not a profile"),
        ({"counted": {"matlab": 1.5}}, "not a whole number"),
        ({"counted": {"matlab": -1}}, "out of range"),
        ({"counted": {"gpu": 1}}, "can't name a counted resource"),
        ({"counted": {"gpu/H100": 1}}, "can't name a counted resource"),
        (["counted=matlab"], "not an object"),
    ],
)
def test_bad_input_says_what_and_how(request_: object, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Resources.parse(request_)  # type: ignore[arg-type]
    assert words in str(caught.value)


@given(
    cpu=st.integers(1, 10**6),
    memory=st.integers(2**20, 2**45),
    share=st.one_of(st.integers(1, 1000), st.integers(1, 64).map(lambda n: n * 1000)),
    profile=st.sampled_from(["", "1g.10gb", "1g.10gb+me"]),
    counted=st.dictionaries(st.sampled_from(["matlab", "capture-card"]), st.integers(1, 10**6)),
)
def test_what_is_written_is_read_back(
    cpu: int, memory: int, share: int, profile: str, counted: dict[str, int]
) -> None:
    exact = Resources(
        cpu_milli=cpu,
        memory_bytes=memory - memory % 2**10,
        device_kind="gpu",
        device_milli=share,
        device_profile=profile if share % 1000 == 0 else "",
        counted=tuple(sorted(counted.items())),
    )
    request = exact.to_request()
    assert Resources.parse(request) == Resources.parse(exact.to_request())
    assert Resources.parse({**request, "memory": exact.memory_bytes}) == exact


@given(st.integers(0, 2**50))
def test_bytes_as_people_read_them_are_close(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == pytest.approx(size, rel=0.01)


def test_resources_are_shown_in_one_line() -> None:
    need = Resources.parse({"cpu": 2, "gpu_profile": "1g.10gb", "counted": {"matlab": 2}})
    assert str(need) == "cpu=2 memory=2GiB gpu=1 gpu_profile=1g.10gb matlab=2"
