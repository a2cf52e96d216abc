"""Korean sentences of large work on files."""

from __future__ import annotations

FILES: dict[str, str] = {
    "Archive chosen": "선택 항목 묶기",
    "Change modes": "권한 바꾸기",
    "Change them": "바꾸기",
    "Copy chosen": "선택 항목 복사",
    "Copy them": "복사하기",
    "Into which directory": "복사할 디렉터리",
    "Mode": "권한",
    "Name of the archive": "묶음 파일 이름",
    "Read every copy back": "복사본을 다시 읽어 확인",
    "Remove for good": "완전히 삭제",
    "{count} chosen are removed with all that is in them, past the trash: nobody can bring them "
    "back.": (
        "선택한 {count}개와 그 안의 모든 것을 휴지통을 거치지 않고 삭제합니다. "
        "아무도 되돌릴 수 없습니다."
    ),
}
