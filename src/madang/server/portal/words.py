"""What the portal says, in English and Korean: whole sentences, never glued fragments.

The English sentence is the key; `words_ko.py` has its translation. A test walks all pages and
checks that none is missing and that both name the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping

from madang.server.portal.words_ko import KOREAN, REASONS


def translate(language: str, sentence: str) -> str:
    """The sentence in `language` ("en" or "ko"), with its `{facts}` still to be filled in."""
    return KOREAN.get(sentence, sentence) if language == "ko" else sentence


def translate_reason(language: str, code: str, message: str, facts: Mapping[str, object]) -> str:
    """Why something waits or has ended, in `language`; `message` is the English sentence."""
    if language != "ko" or code not in REASONS:
        return message
    try:
        return REASONS[code].format(**facts)
    except KeyError:
        return message
