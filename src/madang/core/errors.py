"""Everything that can go wrong and has a way out.

    MadangError
    ├── InvalidInput          what was asked for can't be: says which value, and what would do
    ├── Unauthenticated       nobody is logged in, or the token is wrong, expired or revoked
    ├── Forbidden             logged in, but the role or the token's scopes don't allow it
    ├── NotFound              no such thing, or none that you may see
    ├── Conflict              clashes with what exists: a name is taken, a thing is in use
    ├── LimitExceeded         too large, too many, quota used up
    ├── OutOfSpace            the disk that holds it is full
    ├── RateLimited           too often: says when to try again
    ├── Unsupported           this installation can't do it: says what is missing
    └── Unavailable           a part of the platform doesn't answer: trying again later may help
        └── ConnectionFailed  the platform itself doesn't answer (raised by the client only)

Each class has one `code`, one HTTP status and one exit code of the command line; `server/api` and
`cli` read them from here, and the client turns an answer back into the same class.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MadangError(Exception):
    """Base of all errors that are meant for people.

    `message` says what is wrong and quotes the value; `hint` says what to do; `field` names the
    input at fault, for forms; `details` has for programs what the hint says in words.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        field: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def to_problem(self) -> dict[str, Any]:
        """The body of an HTTP answer (RFC 9457, application/problem+json)."""
        problem: dict[str, Any] = {
            "type": f"about:blank#{self.code}",
            "title": self.message,
            "status": self.status,
            "code": self.code,
        }
        if self.hint:
            problem["detail"] = self.hint
        if self.field:
            problem["field"] = self.field
        if self.details:
            problem["details"] = self.details
        return problem


class InvalidInput(MadangError):
    code = "invalid_input"
    status = 422
    exit_code = 2


class Unauthenticated(MadangError):
    code = "unauthenticated"
    status = 401
    exit_code = 3


class Forbidden(MadangError):
    code = "forbidden"
    status = 403
    exit_code = 4


class NotFound(MadangError):
    code = "not_found"
    status = 404
    exit_code = 5


class Conflict(MadangError):
    code = "conflict"
    status = 409
    exit_code = 6


class LimitExceeded(MadangError):
    code = "limit_exceeded"
    status = 413
    exit_code = 7


class OutOfSpace(MadangError):
    code = "out_of_space"
    status = 507
    exit_code = 12


class RateLimited(MadangError):
    """`retry_after_s` is when trying again makes sense, in seconds."""

    code = "rate_limited"
    status = 429
    exit_code = 8

    def __init__(self, message: str, *, retry_after_s: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Unsupported(MadangError):
    code = "unsupported"
    status = 501
    exit_code = 9


class Unavailable(MadangError):
    code = "unavailable"
    status = 503
    exit_code = 10


class ConnectionFailed(Unavailable):
    code = "connection_failed"
    exit_code = 11


def error_from_problem(problem: dict[str, Any]) -> MadangError:
    """The error that an answer's body stands for; unknown codes become a plain MadangError."""
    message = str(problem.get("title") or "the server answered with an error")
    hint, field = problem.get("detail"), problem.get("field")
    code = problem.get("code")
    if code == RateLimited.code:
        return RateLimited(
            message, retry_after_s=float(problem.get("retry_after_s", 1)), hint=hint
        )
    error_class = _BY_CODE.get(str(code), MadangError)
    return error_class(message, hint=hint, field=field, details=problem.get("details"))


def all_error_classes() -> list[type[MadangError]]:
    """Every class of the tree, base first; the reference page and the tests walk it."""
    found: list[type[MadangError]] = [MadangError]
    for error_class in found:
        found.extend(error_class.__subclasses__())
    return found


_BY_CODE: dict[str, type[MadangError]] = {
    error_class.code: error_class for error_class in all_error_classes()
}
