"""`madang queue|limit|reservation …` and `madang job why|move|priority` on the real API."""

from __future__ import annotations

import json

from madang.core.errors import Conflict, InvalidInput
from madang.core.states import WorkloadState
from tests.cli.test_jobs import Terminal, terminal_of
from tests.conftest import People
from tests.server.workloads.platform import running


async def well(terminal: Terminal, *words: str, user: str = "admin") -> str:
    result = await terminal.type(*words, user=user)
    assert result.exit_code == 0, (words, result.output, result.exception)
    return result.output


async def test_a_tree_of_queues(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        await terminal.platform.agents["a"].step()
        await well(terminal, "queue", "create", "research", "--platform", "--guarantee", "gpu=2")
        await well(
            terminal, "queue", "create", "train", "--parent", "research", "--weight", "2",
            "--limit", "gpu=2,memory=32GiB", "--min-runtime", "30m", "--ordering", "fair",
        )  # fmt: skip
        shown = await well(terminal, "queue", "list")
        assert "  train" in shown
        assert "gpu=2 memory=32GiB" in shown
        changed = await well(terminal, "queue", "update", "train", "--limit", "none", "--closed")
        assert "memory=32GiB" not in changed
        assert "1800 s" in changed
        refused = await terminal.type(
            "queue", "update", "train", "--guarantee", "gpu=3", user="admin"
        )
        assert isinstance(refused.exception, InvalidInput)
        refused = await terminal.type(
            "queue", "update", "train", "--guarantee", "much", user="admin"
        )
        assert isinstance(refused.exception, InvalidInput)
        for weight in ("nan", "inf"):
            refused = await terminal.type("queue", "create", "x", "--weight", weight, user="admin")
            assert isinstance(refused.exception, InvalidInput)
        assert "research/train has weight 2" in await well(terminal, "queue", "explain", "train")
        explained = json.loads(await well(terminal, "queue", "explain", "train", "--json"))
        assert explained["queue"]["open"] is False
        assert "train is deleted" in await well(terminal, "queue", "delete", "train")


async def test_what_waits_can_be_asked_moved_and_hurried(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        await well(terminal, "queue", "create", "night")
        running = await terminal.job("--gpu", "2", "--name", "first", "wait")
        await terminal.platform.until_state(running["id"], WorkloadState.RUNNING)
        waiting = await terminal.job("--gpu", "1", "--name", "second", "wait")
        await terminal.platform.until(waiting["id"], lambda row: row.reason is not None)
        why = await well(terminal, "job", "why", "second")
        assert "1 of 1 that wait" in why
        assert "FIT NOW" in why
        assert "is in queue night" in await well(terminal, "job", "move", "second", "night")
        assert "has priority 100" in await well(terminal, "job", "priority", "second", "high")
        assert "has priority -5" in await well(terminal, "job", "priority", "second", "-5")
        assert "STARTS" in await well(terminal, "job", "list")


async def test_limits_and_nodes(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        await terminal.platform.agents["a"].step()
        await well(terminal, "limit", "set", "user:member", "--running", "3", "--amount", "gpu=4")
        assert "gpu=4" in await well(terminal, "limit", "list", user="member")
        assert "has no limit" in await well(terminal, "limit", "set", "user:member")
        shown = await well(
            terminal, "node", "label", "a", "rack=r1", "--pool", "train", "--counted", "matlab=2"
        )
        assert "rack=r1" in shown
        assert "matlab=2" in shown
        assert "r1" not in await well(terminal, "node", "label", "a", "rack=")
        assert "train" in await well(terminal, "node", "list")


async def test_reservations(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        await terminal.platform.agents["a"].step()
        words = ["--start", "2027-03-01T09:00", "--for", "2h", "--gpu", "2"]
        again = ["--repeat", "weekly", "--until", "2027-03-20", "--timezone", "Asia/Seoul"]
        await well(terminal, "reservation", "create", "demo", *words, *again)
        assert "weekly" in await well(terminal, "reservation", "list")
        assert "2027-03-15" in await well(terminal, "reservation", "show", "demo")
        refused = await terminal.type("reservation", "create", "other", *words, user="admin")
        assert isinstance(refused.exception, Conflict)
        assert "It fits from" in str(refused.exception)
        assert len(refused.exception.details["nearest"]) == 2
        for start in ("noon", "0001-01-01T00:00+14:00", "9999-12-31T23:00"):
            refused = await terminal.type(
                "reservation", "create", "x", "--start", start, "--for", "2h", user="admin"
            )
            assert isinstance(refused.exception, InvalidInput)
        await well(terminal, "reservation", "cancel", "demo")
        await well(terminal, "reservation", "create", "other", *words)


async def test_the_policy_of_the_cluster(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        shown = await well(terminal, "scheduling", "show", user="member")
        assert "none" in shown
        changed = await well(
            terminal, "scheduling", "set", "--migration-budget", "0.02", "--pool-placement",
            "wide=spread",
        )  # fmt: skip
        assert "0.02" in changed
        await well(terminal, "scheduling", "set", "--no-preemption", "--half-life", "1d")
        kept = json.loads(await well(terminal, "scheduling", "show", "--json"))
        assert (kept["migration_budget"], kept["preemption"]) == (0.02, False)
        assert (kept["pool_placement"], kept["half_life_s"]) == ({"wide": "spread"}, 86_400.0)
        refused = await terminal.type(
            "scheduling", "set", "--migration-budget", "0.5", user="member"
        )
        assert refused.exit_code != 0
        refused = await terminal.type("scheduling", "set", "--placement", "best", user="admin")
        assert isinstance(refused.exception, InvalidInput)


async def test_a_slice_is_asked_for_shown_and_given(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        platform = terminal.platform
        agent = platform.agent("cut", "1xA100:3g.40gb+2x2g.20gb")
        async with running(agent.run()):
            job = await terminal.job(
                "--gpu", "2", "--gpu-profile", "2g.20gb", "--name", "s", "wait"
            )
            await platform.until_state(job["id"], WorkloadState.RUNNING)
            shown = await well(terminal, "node", "show", "cut")
            lines = [line for line in shown.splitlines() if line.startswith("gpu ")]
            assert "A100 3g.40gb, 40GiB, 0% used" in lines[0]
            assert all("A100 2g.20gb, 20GiB, 100% used" in line for line in lines[1:])
            assert all("a slice kept apart by hardware, simulated" in line for line in lines)
            assert "2 of 2 A100 2g.20gb (simulated)" in await well(terminal, "node", "list")
            whole = await terminal.type(
                "job", "run", "--detach", "--gpu-profile", "7g.80gb", "true"
            )
            assert isinstance(whole.exception, InvalidInput)
