"""What the real command line would call on the client."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner


class Call(BaseException):
    """Raised in the place of the request; the command ends there."""

    def __init__(self, name: str, words: tuple[Any, ...], options: dict[str, Any]) -> None:
        super().__init__(name)
        self.name = name
        self.words = words
        self.options = options


class _Recorder:
    """A client that only says what was called on it: `queues.create`."""

    def __init__(self, path: str = "") -> None:
        self._path = path

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __getattr__(self, name: str) -> _Recorder:
        return _Recorder(f"{self._path}.{name}".lstrip("."))

    def __call__(self, *words: Any, **options: Any) -> None:
        raise Call(self._path, words, options)


def call_of_command_line(words: list[str], module: str) -> Call:
    """The call that `madang …` makes, read by the commands of `madang.cli.MODULE`."""
    from madang.cli.main import app

    with patch(f"madang.cli.{module}.connect", lambda project=None: _Recorder()):
        try:
            result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        except Call as call:
            return call
    raise AssertionError(result.output)


def call_of_python(text: str) -> Call:
    """The call that a page shows for Python."""
    with patch("madang.client.Client", _Recorder):
        try:
            exec(compile(text, "shown", "exec"), {})
        except Call as call:
            return call
    raise AssertionError(f"nothing is called in {text}")
