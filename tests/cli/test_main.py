"""How commands end: exit codes, and words instead of tracebacks."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from madang.cli import main as entry
from madang.core.errors import Conflict


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The entry point with one command of the test's own, `madang only`."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    monkeypatch.setattr(entry, "app", app)
    monkeypatch.setattr(sys, "argv", ["madang", "only"])
    return app


def exit_code() -> object:
    with pytest.raises(SystemExit) as stopped:
        entry.main()
    return stopped.value.code


@pytest.mark.parametrize("code", [0, 1, 7, 143])
def test_a_job_s_exit_code_is_the_command_s(command: typer.Typer, code: int) -> None:
    @command.command("only")
    def only() -> None:
        raise typer.Exit(code)

    assert exit_code() == code


def test_nothing_raised_is_zero(command: typer.Typer) -> None:
    command.command("only")(lambda: None)
    assert exit_code() == 0


def test_errors_become_words(command: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    @command.command("only")
    def only() -> None:
        raise Conflict("the name is taken", hint="Choose another.")

    assert exit_code() == Conflict.exit_code
    assert capsys.readouterr().err == "Error: the name is taken.\n       Choose another.\n"


def test_a_question_not_answered_is_no_traceback(
    command: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    @command.command("only")
    def only() -> None:
        raise typer.Abort

    assert exit_code() == 1
    assert "nothing was done" in capsys.readouterr().err


def test_a_wrong_option_is_explained(
    command: typer.Typer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command.command("only")(lambda: None)
    monkeypatch.setattr(sys, "argv", ["madang", "only", "--bogus"])
    assert exit_code() == 2
    assert "--bogus" in capsys.readouterr().err


def test_ctrl_c_while_loading_ends_quietly() -> None:
    script = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'madang.cli.main': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from madang.cli.entry import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")
