from __future__ import annotations

from madang.server.cluster.devices.links import link_groups


def test_what_is_joined_by_way_of_others_is_one_group() -> None:
    assert link_groups("abcd", [("a", "b"), ("b", "d")]) == [0, 0, -1, 0]
    assert link_groups("abcd", [("a", "s"), ("d", "s"), ("b", "t"), ("c", "t")]) == [0, 1, 1, 0]


def test_what_is_linked_to_nothing_is_in_no_group() -> None:
    assert link_groups("ab", []) == [-1, -1]
    assert link_groups("ab", [("a", "s")]) == [-1, -1]
    assert link_groups("", []) == []
