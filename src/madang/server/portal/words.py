"""What the portal says, in English and Korean: whole sentences, never glued fragments.

The English sentence is the key; `words_ko.py` has its translation. A test walks all pages and
checks that none is missing and that both name the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping

from madang.core.reasons import When, Wording, sentence, utc
from madang.server.portal.words_ko import CLAUSES, KOREAN, REASONS

_KOREAN = Wording(REASONS, CLAUSES, ". ", "다른 작업", "다른 작업 {count}개")


def translate(language: str, sentence: str) -> str:
    """The sentence in `language` ("en" or "ko"), with its `{facts}` still to be filled in."""
    return KOREAN.get(sentence, sentence) if language == "ko" else sentence


def translate_reason(
    language: str, code: str, message: str, facts: Mapping[str, object], when: When = utc
) -> str:
    """Why something waits or has ended, in `language`; `message` is the English sentence.
    when: writes an ISO time in the reader's zone."""
    try:
        if language == "ko":
            return sentence(code, facts, when=when, wording=_KOREAN)
        return message if "who" in facts else sentence(code, facts, when=when)
    except KeyError:
        return message
