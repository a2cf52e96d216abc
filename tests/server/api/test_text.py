"""Half characters do not get in."""

from __future__ import annotations

import json

import pytest

from tests.conftest import People


@pytest.mark.parametrize(
    "body",
    [
        {"command": ["echo", "\ud800"]},
        {"command": ["echo"], "labels": {"k": "\udfff"}},
        {"command": ["echo"], "environment_variables": {"\udc00": "v"}},
    ],
)
async def test_half_a_character_is_refused_and_nothing_is_kept(
    sqlite_people: People, body: dict[str, object]
) -> None:
    headers = {"Content-Type": "application/json"}
    async with sqlite_people.client("member") as member:
        answer = await member.post("/api/v1/jobs", content=json.dumps(body), headers=headers)
        assert answer.status_code == 422, answer.text
        assert "not a whole character" in answer.json()["title"]
        assert (await member.get("/api/v1/jobs")).json()["items"] == []


async def test_whole_characters_pass_however_they_are_spelt(sqlite_people: People) -> None:
    body = json.dumps({"command": ["echo", "\U0001f600", "한글"]})
    assert "\\ud83d" in body
    headers = {"Content-Type": "application/json"}
    async with sqlite_people.client("member") as member:
        answer = await member.post("/api/v1/jobs", content=body, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["command"] == ["echo", "\U0001f600", "한글"]


async def test_half_a_character_is_refused_in_mlflows_words_too(sqlite_people: People) -> None:
    body = json.dumps({"name": "digits", "tags": [{"key": "k", "value": "v", "other": "\ud800"}]})
    async with sqlite_people.client("member") as member:
        answer = await member.post(
            "/projects/vision/api/2.0/mlflow/experiments/create",
            content=body,
            headers={"Content-Type": "application/json"},
        )
    assert answer.status_code == 400, answer.text
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "not a whole character" in answer.json()["message"]
