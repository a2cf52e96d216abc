"""`madang simulate --from-history`: through the API, as an administrator types it."""

from __future__ import annotations

import json
from pathlib import Path

from madang.server.workloads import service
from tests.cli.test_refusals import type_words
from tests.conftest import People
from tests.server.workloads.live import api_on_a_port
from tests.server.workloads.platform import platform_of


async def test_what_the_platform_ran_runs_again(sqlite_people: People, tmp_path: Path) -> None:
    kept = tmp_path / "day.json"
    async with platform_of(sqlite_people, a={"cpu": 8, "gpus": 2}) as platform:
        wanted = ("gpu=1", "cpu=1")
        jobs = [await platform.submit("true", resources=wanted) for _ in range(3)]
        for job in jobs:
            await platform.until_ended(job)
        async with api_on_a_port(sqlite_people.context) as url:
            command = ("simulate", "--from-history", "--since", "2000-01-01", "--json")
            ran = await type_words(sqlite_people, url, *command, "--save", str(kept))
    assert ran.exit_code == 0, ran.output
    plain = json.loads(ran.stdout)
    assert (plain["jobs"], plain["ended"], plain["gpus"]) == (3, 3, 2)
    assert {work["id"] for work in json.loads(kept.read_text())["work"]} == set(jobs)
    again = await type_words(
        sqlite_people,
        "http://nowhere",
        "simulate",
        "--format",
        "history",
        "-w",
        str(kept),
        "--json",
    )
    assert json.loads(again.stdout)["ended"] == 3


async def test_a_member_replays_what_she_may_see_and_others_unnamed(
    sqlite_people: People, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    async with platform_of(sqlite_people, a={"cpu": 8, "gpus": 2}) as platform:
        own = await platform.submit("true", resources=("gpu=1", "cpu=1"))
        spec = platform.spec("true", project_id=sqlite_people.other_project_id)
        admin = await sqlite_people.principal("admin")
        others = (await service.submit(sqlite_people.context, admin, spec)).id
        for job in (own, others):
            await platform.until_ended(job)
        async with api_on_a_port(sqlite_people.context) as url:
            command = ("simulate", "--from-history", "--since", "2000-01-01")
            shown = ("--html", str(page), "--ordering", "fifo")
            ran = await type_words(sqlite_people, url, *command, *shown, user="member")
            plain = await type_words(sqlite_people, url, *command, "--json", user="member")
    assert ran.exit_code == 0, ran.output
    assert "Jobs of 1 queue that you do not see" in ran.stdout
    assert "Jobs of 1 queue that you do not see" in page.read_text()
    answer = json.loads(plain.stdout)
    assert (answer["jobs"], len(answer["notes"])) == (2, 1)
