"""Large work on the files of a folder: copying, archiving, changing modes, removing for good. Each
runs as a job where the folder is; its page shows how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from madang.core.errors import InvalidInput
from madang.schemas.files import from_wire
from madang.server.portal.folder_request import Chosen, Lines, lines
from madang.server.portal.forms import Field, FormDialog, Values
from madang.server.portal.session import PortalSession

Action = tuple[str, Callable[[list[str]], Awaitable[None]]]


def file_actions(session: PortalSession, folder: str, directory: str) -> list[Action]:
    """For what is chosen in the table of a folder's files."""
    say = session.say

    async def copy(keys: list[str]) -> None:
        _copy(session, _chosen(folder, directory, keys))

    async def archive(keys: list[str]) -> None:
        _archive(session, _chosen(folder, directory, keys))

    async def modes(keys: list[str]) -> None:
        _modes(session, _chosen(folder, directory, keys))

    async def remove(keys: list[str]) -> None:
        _remove(session, _chosen(folder, directory, keys))

    return [
        (say("Copy chosen"), copy),
        (say("Archive chosen"), archive),
        (say("Change modes"), modes),
        (say("Remove for good"), remove),
    ]


def _chosen(folder: str, directory: str, keys: Sequence[str]) -> Chosen:
    return Chosen(folder, _text(directory), tuple(_text(key) for key in keys))


def _text(path: str) -> str:
    """As a word of a command. Raises InvalidInput for what is no text."""
    try:
        return from_wire(path).decode()
    except UnicodeDecodeError:
        raise InvalidInput(
            f"{path!r} is no text, and can't be a word of a command",
            hint="Choose the directory that it is in.",
        ) from None


def _copy(session: PortalSession, chosen: Chosen) -> None:
    say = session.say
    fields = [
        Field("target", say("Into which directory"), hint="FOLDER/path"),
        Field("verify", say("Read every copy back"), kind="check"),
    ]

    def words(typed: Values) -> list[str]:
        return chosen.copy(typed["target"], bool(typed["verify"]))

    _dialog(session, say("Copy chosen"), fields, words, say("Copy them"))


def _archive(session: PortalSession, chosen: Chosen) -> None:
    say = session.say
    name = f"{chosen.paths[0].rpartition('/')[2]}.tar.gz"
    fields = [Field("name", say("Name of the archive"), name)]
    _dialog(
        session,
        say("Archive chosen"),
        fields,
        lambda typed: chosen.archive(typed["name"]),
        say("Make it"),
    )


def _modes(session: PortalSession, chosen: Chosen) -> None:
    say = session.say
    fields = [Field("mode", say("Mode"), "g+rX", hint="g+rX, u=rwX,go=, 750")]
    _dialog(
        session,
        say("Change modes"),
        fields,
        lambda typed: chosen.modes(typed["mode"]),
        say("Change them"),
    )


def _remove(session: PortalSession, chosen: Chosen) -> None:
    say = session.say
    lost = say(
        "{count} chosen are removed with all that is in them, past the trash: nobody can bring "
        "them back.",
        count=len(chosen.paths),
    )
    _dialog(
        session,
        say("Remove for good"),
        [],
        lambda typed: chosen.remove(),
        say("Remove for good"),
        intro=lost,
    )


def _dialog(
    session: PortalSession,
    title: str,
    fields: Sequence[Field],
    words: Callable[[Values], list[str]],
    label: str,
    intro: str = "",
) -> None:
    async def submit(typed: Values) -> None:
        job = await session.client.files.run(words(typed), project=session.project or None)
        ui.navigate.to(f"/jobs/{job.id}")

    def shown(typed: Values) -> Lines:
        try:
            return lines(words(typed))
        except InvalidInput:
            return "", ""  # what is missing is said when it is asked for

    FormDialog(session, title, fields, shown, submit, label=label, intro=intro)
