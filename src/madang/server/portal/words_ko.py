"""Korean sentences of the portal, by their English ones; reasons by their codes."""

from __future__ import annotations

from madang.server.portal.words_ko_files import FILES
from madang.server.portal.words_ko_scheduling import SCHEDULING

KOREAN: dict[str, str] = {
    "A dataset is a folder whose content is saved as numbered versions.": (
        "데이터셋은 내용을 번호가 붙은 버전으로 저장한 폴더입니다."
    ),
    "A directory that was there before, used in place.": (
        "원래 있던 디렉터리를 그 자리에서 사용합니다."
    ),
    "A file of this name is there already.": "같은 이름의 파일이 이미 있습니다.",
    "A folder keeps files beyond jobs; it is mounted in them by its name.": (
        "폴더는 작업이 끝나도 파일을 보관하며, 이름으로 작업에 마운트됩니다."
    ),
    "A folder that is removed stays here for a while and can be restored.": (
        "삭제한 폴더는 한동안 여기에 남아 있으며 복원할 수 있습니다."
    ),
    "A job registers one with the ordinary MLflow client.": (
        "작업이 일반 MLflow 클라이언트로 등록합니다."
    ),
    "A job runs a command with the CPUs, memory and GPUs that you ask for.": (
        "작업은 요청한 CPU, 메모리, GPU로 명령을 실행합니다."
    ),
    "A version lists all files as they are now; jobs read versions.": (
        "버전은 지금 있는 파일을 모두 기록합니다. 작업은 버전을 읽습니다."
    ),
    "API reference": "API 문서",
    "Address": "주소",
    "Alias, e.g. champion": "별칭, 예: champion",
    "Aliases": "별칭",
    "All": "전체",
    "All its versions are removed; this can't be undone.": (
        "모든 버전이 삭제되며 되돌릴 수 없습니다."
    ),
    "All rows that the filters let through": "필터에 맞는 모든 행",
    "An endpoint answers requests with a registered model.": (
        "엔드포인트는 등록된 모델로 요청에 응답합니다."
    ),
    "Answer": "응답",
    "Any state": "모든 상태",
    "Anyone's": "모든 사람",
    "Asked it to stop.": "중지를 요청했습니다.",
    "Asked {count} jobs to stop.": "작업 {count}개에 중지를 요청했습니다.",
    "Asks for": "요청 자원",
    "Attempt": "시도",
    "Back to the jobs": "작업 목록으로",
    "By": "사용자",
    "CPUs for each process": "프로세스당 CPU",
    "CPUs for each replica": "복제본당 CPU",
    "Cancel": "취소",
    "Cancel chosen": "선택한 작업 취소",
    "Change and run": "바꿔서 실행",
    "Changed": "변경",
    "Choose all": "모두 선택",
    "Choose rows first.": "먼저 행을 선택하세요.",
    "Choose {name}": "{name} 선택",
    "Class": "클래스",
    "Classes": "클래스",
    "Clear the filters": "필터 지우기",
    "Cluster": "클러스터",
    "Command": "명령",
    "Copy": "복사",
    "Created": "만든 때",
    "Data": "데이터",
    "Dataset": "데이터셋",
    "Dataset version": "데이터셋 버전",
    "Datasets": "데이터셋",
    "Datasets (NAME@VERSION:VIEW)": "데이터셋 (이름@버전:뷰)",
    "Delete": "삭제",
    "Deploy": "배포",
    "Deploy a model": "모델 배포",
    "Deploy another version": "다른 버전 배포",
    "Deployed": "배포한 때",
    "Devices": "장치",
    "Download": "내려받기",
    "Download all": "모두 내려받기",
    "Drop files above, or upload them from the command line.": (
        "위에 파일을 놓거나 명령줄에서 올리세요."
    ),
    "Drop files or folders here, or": "파일이나 폴더를 여기에 놓거나",
    "Each replica": "복제본당 자원",
    "Ended": "끝난 때",
    "Endpoint": "엔드포인트",
    "Endpoints": "엔드포인트",
    "Environment": "환경",
    "Environment (that of the training job when empty)": "환경 (비우면 학습 작업의 환경)",
    "Environment (the machine's own Python when empty)": "환경 (비우면 서버의 파이썬)",
    "Environment variables": "환경 변수",
    "Events": "이벤트",
    "Exit code": "종료 코드",
    "File sizes": "파일 크기",
    "Folder": "폴더",
    "Folders": "폴더",
    "Folders (FOLDER:/where/inside:ro)": "폴더 (폴더:/내부/경로:ro)",
    "Folders hold files; datasets are folders with versions that never change.": (
        "폴더는 파일을 담고, 데이터셋은 변하지 않는 버전이 있는 폴더입니다."
    ),
    "Formats": "형식",
    "From the folder {folder}.": "폴더 {folder}에서 만들었습니다.",
    "GPUs for each process (a part of one: 0.25)": "프로세스당 GPU (일부는 0.25처럼)",
    "GPUs for each replica": "복제본당 GPU",
    "Go to…": "이동할 곳…",
    "Hold out a part": "일부 떼어 두기",
    "Home": "홈",
    "Id": "아이디",
    "In a job": "작업에서",
    "In the trash; restore it to use it.": "휴지통에 있습니다. 사용하려면 복원하세요.",
    "Isolation": "격리",
    "It can be tried as soon as a replica is ready.": "복제본이 준비되면 바로 시험할 수 있습니다.",
    "Items": "항목",
    "Items of each class": "클래스별 항목 수",
    "Its files are in no class folders.": "파일이 클래스 폴더로 나뉘어 있지 않습니다.",
    "Job": "작업",
    "Jobs": "작업",
    "Jobs, data and models belong to projects. A maintainer can add you to one.": (
        "작업, 데이터, 모델은 프로젝트에 속합니다. 관리 담당자가 추가해 줄 수 있습니다."
    ),
    "Largest class to smallest": "가장 큰 클래스와 가장 작은 클래스의 비",
    "Leave it": "그대로 두기",
    "Light or dark": "밝게 또는 어둡게",
    "Listing its files…": "파일 목록을 만드는 중…",
    "Load it": "불러오기",
    "Log": "로그",
    "Log in": "로그인",
    "Log out": "로그아웃",
    "Logs": "로그",
    "Made by run": "만든 실행",
    "Make a dataset": "데이터셋 만들기",
    "Memory for each process": "프로세스당 메모리",
    "Memory for each replica": "복제본당 메모리",
    "Metrics": "지표",
    "Model": "모델",
    "Model version": "모델 버전",
    "Model version (digits/3 or digits@champion)": "모델 버전 (digits/3 또는 digits@champion)",
    "Model versions that answer requests.": "요청에 응답하는 모델 버전입니다.",
    "Models": "모델",
    "Name": "이름",
    "Name (made from the command when empty)": "이름 (비우면 명령에서 만듦)",
    "Name of the endpoint": "엔드포인트 이름",
    "Name of the part": "떼어 둘 부분의 이름",
    "Name of the rest": "나머지의 이름",
    "New directory": "새 디렉터리",
    "New endpoint": "새 엔드포인트",
    "New folder": "새 폴더",
    "New job": "새 작업",
    "Newest version": "최신 버전",
    "Next": "다음",
    "No datasets yet": "아직 데이터셋이 없습니다",
    "No endpoints yet": "아직 엔드포인트가 없습니다",
    "No file is in this view.": "이 뷰에는 파일이 없습니다.",
    "No folders yet": "아직 폴더가 없습니다",
    "No jobs yet": "아직 작업이 없습니다",
    "No models yet": "아직 모델이 없습니다",
    "No node is connected: nothing can start.": "연결된 노드가 없어 아무것도 시작할 수 없습니다.",
    "No numbers yet": "아직 숫자가 없습니다",
    "No password yet? An administrator can give you one.": (
        "아직 비밀번호가 없나요? 관리자가 만들어 줄 수 있습니다."
    ),
    "No row has what the filters ask for.": "필터에 맞는 행이 없습니다.",
    "No version yet": "아직 버전이 없습니다",
    "Node": "노드",
    "None was started yet.": "아직 시작된 것이 없습니다.",
    "Not now": "다음에",
    "Nothing answers yet": "아직 응답하는 것이 없습니다",
    "Nothing found.": "찾은 것이 없습니다.",
    "Nothing happened yet": "아직 아무 일도 없었습니다",
    "Nothing is in here": "여기는 비어 있습니다",
    "Nothing matches": "일치하는 것이 없습니다",
    "Nothing runs or waits.": "실행 중이거나 기다리는 작업이 없습니다.",
    "Nothing was sent yet.": "아직 보낸 것이 없습니다.",
    "Nothing was written yet.": "아직 기록된 것이 없습니다.",
    "Of": "대상",
    "Only mine": "내 것만",
    "Overview": "개요",
    "Owned by {owner}.": "소유자는 {owner}입니다.",
    "Owner": "소유자",
    "Passed over": "건너뜀",
    "Password": "비밀번호",
    "Path": "경로",
    "Peak memory": "최대 메모리",
    "Percent of the items": "항목의 비율(%)",
    "Previous": "이전",
    "Processes (N, or MIN..MAX)": "프로세스 수 (N 또는 최소..최대)",
    "Project": "프로젝트",
    "Rank": "랭크",
    "Rank {rank}": "랭크 {rank}",
    "Rank {rank}, attempt {attempt}": "랭크 {rank}, 시도 {attempt}",
    "Reference": "참조",
    "Registered models; a version never changes.": "등록된 모델입니다. 버전은 바뀌지 않습니다.",
    "Remove": "삭제",
    "Remove chosen": "선택 항목 삭제",
    "Remove {name}?": "{name}을(를) 삭제할까요?",
    "Removed": "삭제한 때",
    "Replace it": "바꾸기",
    "Replicas": "복제본",
    "Request": "요청",
    "Requests to {url} are refused from then on. The model stays registered.": (
        "이후 {url}(으)로 보내는 요청은 거절됩니다. 모델은 등록된 채로 남습니다."
    ),
    "Restore chosen": "선택한 항목 복원",
    "Revision": "리비전",
    "Run": "실행",
    "Run again": "다시 실행",
    "Running jobs takes the role member; a maintainer of the project can give it.": (
        "작업을 실행하려면 멤버 역할이 필요합니다. 프로젝트 관리자가 줄 수 있습니다."
    ),
    "Runs a command once, with what it asks for.": "요청한 자원으로 명령을 한 번 실행합니다.",
    "Save a version": "버전 저장",
    "Saved": "저장한 때",
    "Search": "검색",
    "Search by name": "이름으로 검색",
    "Sections": "메뉴",
    "Send": "보내기",
    "Set an alias": "별칭 지정",
    "Size": "크기",
    "Skip to the page": "본문으로 건너뛰기",
    "Started": "시작한 때",
    "State": "상태",
    "Task": "태스크",
    "Tasks": "태스크",
    "That is not the name.": "이름이 다릅니다.",
    "The example has the shape that the model asks for; put your values in.": (
        "예시는 모델이 요구하는 형태입니다. 값을 넣어 보세요."
    ),
    "The folder goes to the trash and can be restored from there for a while.": (
        "폴더는 휴지통으로 가며 한동안 복원할 수 있습니다."
    ),
    "The gateway does not answer.": "게이트웨이가 응답하지 않습니다.",
    "The login did not work.": "로그인하지 못했습니다.",
    "The part is a number of percent.": "비율은 퍼센트 숫자여야 합니다.",
    "The portal made a mistake ({kind})": "포털에 오류가 있습니다({kind})",
    "The same in Python": "Python에서는",
    "The same on the command line": "같은 일을 하는 명령",
    "The server's log has the details; an administrator can read it.": (
        "자세한 내용은 서버 로그에 있으며 관리자가 볼 수 있습니다."
    ),
    "The trash is empty": "휴지통이 비어 있습니다",
    "The version is a number.": "버전은 숫자여야 합니다.",
    "The address {path} leads to no page.": "주소 {path}에는 페이지가 없습니다.",
    "There is nothing here": "여기에는 아무것도 없습니다",
    "This could not be loaded": "불러오지 못했습니다",
    "This link opens the portal once.": "이 링크는 포털을 한 번 엽니다.",
    "Time limit in seconds": "제한 시간(초)",
    "Trash": "휴지통",
    "Tries again after a failure": "실패 후 재시도 횟수",
    "Try again": "다시 시도",
    "Try it": "시험해 보기",
    "Type {name} to confirm": "확인하려면 {name}을(를) 입력하세요",
    "Used": "사용",
    "Version": "버전",
    "Version {number}": "버전 {number}",
    "Version {number} holds what the folder has.": (
        "버전 {number}이(가) 폴더의 내용을 담고 있습니다."
    ),
    "Views": "뷰",
    "Welcome, {name}": "{name} 님, 환영합니다",
    "What": "무엇",
    "What else waits, and why": "그 밖에 기다리는 작업과 이유",
    "What happens to this revision is told here.": "이 리비전에 일어나는 일이 여기에 표시됩니다.",
    "What is removed in here waits here.": "여기서 삭제한 것은 이곳에 남습니다.",
    "What the program reports is drawn here while it runs.": (
        "프로그램이 보고하는 값이 실행 중에 여기에 그려집니다."
    ),
    "When": "언제",
    "Where it comes from": "출처",
    "Where {ref} comes from": "{ref}의 출처",
    "You are a {role} of {project}: you see this, and a maintainer can let you do more.": (
        "{project}의 {role}입니다. 볼 수 있으며, 더 많은 권한은 프로젝트 관리자가 줄 수 있습니다."
    ),
    "You are in no project yet": "아직 속한 프로젝트가 없습니다",
    "You have run no job yet.": "아직 실행한 작업이 없습니다.",
    "You may": "권한",
    "You may not run jobs here": "여기서 작업을 실행할 수 없습니다",
    "You may not see this": "볼 수 있는 권한이 없습니다",
    "You may read here, not write.": "읽을 수만 있고 쓸 수는 없습니다.",
    "Your jobs": "내 작업",
    "Your login has ended": "로그인이 끝났습니다",
    "and {count} more": "외 {count}개",
    "assigned": "배정됨",
    "cancel": "취소 요청",
    "cancelled": "취소됨",
    "choose files": "파일 선택",
    "connected": "연결됨",
    "cordon": "배치 중지",
    "cordoned": "배정 제외",
    "degraded": "성능 저하",
    "deleting": "삭제 중",
    "drained": "비움",
    "enforced": "강제됨",
    "failed": "실패",
    "finished": "끝남",
    "killed": "중지됨",
    "lost": "연결 끊김",
    "maintainer": "프로젝트 관리자",
    "manage": "관리",
    "measured": "측정됨",
    "member": "멤버",
    "none": "없음",
    "nothing": "없음",
    "pending": "대기",
    "read": "읽기",
    "read and write": "읽기와 쓰기",
    "ready": "준비됨",
    "retried": "다시 시도",
    "running": "실행 중",
    "scaled": "복제본 수 변경",
    "scheduled": "예약됨",
    "simulated": "모의",
    "special": "특수 파일",
    "starting": "시작 중",
    "step": "단계",
    "stopped": "중지됨",
    "stopping": "중지 중",
    "submitted": "제출됨",
    "succeeded": "성공",
    "the job": "작업 전체",
    "uncordon": "배치 재개",
    "uncordoned": "배치 재개",
    "updating": "갱신 중",
    "viewer": "조회자",
    "{count} removed; the folder's trash has them.": (
        "{count}개를 삭제했습니다. 폴더의 휴지통에 있습니다."
    ),
    "{count} restored.": "{count}개를 복원했습니다.",
    "{count} waiting": "{count}개 대기 중",
    "{done} of {all} files, {sent} of {total}": "파일 {all}개 중 {done}개, {total} 중 {sent}",
    "{done} uploaded, {left} not.": "{done}개를 올렸고 {left}개는 올리지 못했습니다.",
    "{done} uploaded.": "{done}개를 올렸습니다.",
    "{number} is wanted, {serving} answers": "원하는 것은 {number}, 응답하는 것은 {serving}",
    "{queue}, priority {priority}": "{queue}, 우선순위 {priority}",
    "{ready} of {wanted} ready": "{wanted}개 중 {ready}개 준비됨",
    "{ref}: {items} items, {size}": "{ref}: 항목 {items}개, {size}",
    "{role} {rank}, attempt {attempt}": "{role} {rank}, 시도 {attempt}",
    "{running} running, {waiting} waiting.": "{running}개 실행 중, {waiting}개 대기 중입니다.",
    "{running} running, {waiting} waiting; {name} {reason}.": (
        "{running}개 실행 중, {waiting}개 대기 중입니다. {name}: {reason}."
    ),
    "{status} after {milliseconds} ms": "{milliseconds} ms 뒤 {status}",
    "{text} is not a whole number.": "{text}은(는) 정수가 아닙니다.",
    "{used} of {limit} used, {mode}; owned by {owner}.": (
        "{limit} 중 {used} 사용({mode}), 소유자는 {owner}입니다."
    ),
    "answers": "응답 시작",
    "deleted": "삭제됨",
    "deployed": "배포됨",
}

KOREAN |= FILES | SCHEDULING

REASONS: dict[str, str] = {
    "queued": "대기열 {queue}에서 {ahead}개 뒤에서 기다립니다",
    "resources": "{wanted}을(를) 기다립니다. 지금 남은 것: {free}",
    "gang": (
        "각각 {wanted}인 태스크 {tasks}개가 한꺼번에 들어갈 자리를 기다립니다. "
        "지금은 {fitting}개가 들어갑니다"
    ),
    "no_node": "연결된 노드가 없어 기다립니다",
    "nodes_closed": "{nodes}이(가) 막혔거나 끊겨 기다립니다. 다른 노드에는 들어갈 수 없습니다",
    "no_device": "어느 노드에도 없는 {wanted}을(를) 요청했습니다. 있는 것: {available}",
    "too_large": "어느 노드보다 큰 {wanted}을(를) 요청했습니다. 가장 큰 노드는 {largest}입니다",
    "gang_too_large": (
        "{wanted}짜리 태스크 {tasks}개를 한꺼번에 요청했습니다. "
        "모든 노드를 합쳐도 {fitting}개가 들어갑니다"
    ),
    "together_too_large": (
        "{wanted}짜리 태스크 {tasks}개를 한 {within} 안에 요청했습니다. "
        "가장 큰 곳에도 {fitting}개가 들어갑니다"
    ),
    "apart_too_few": (
        "{wanted}짜리 태스크 {tasks}개를 서로 다른 {within}에 요청했습니다. "
        "들어갈 수 있는 곳은 {fitting}군데입니다"
    ),
    "no_pool": "노드가 하나도 없는 풀 {pool}을(를) 요청했습니다. 있는 것: {available}",
    "no_label": "어느 노드에도 없는 레이블 {labels}을(를) 요청했습니다",
    "queue_closed": "대기열 {queue}이(가) 열리기를 기다립니다",
    "queue_limit": (
        "대기열 {queue}이(가) {resource}을(를) 최대 {limit} 가운데 {used} 쓰고 있어 기다립니다. "
        "이 작업은 {asked}을(를) 요청합니다"
    ),
    "borrowing_limit": (
        "대기열 {queue}이(가) {resource}을(를) {used} 쓰고 있어 기다립니다. 빌리는 것까지 "
        "{limit}까지 쓸 수 있고, 이 작업은 {asked}을(를) 요청합니다"
    ),
    "guarantee_kept": (
        "{resource}을(를) 기다립니다. 남은 것은 대기열 {queue}에 보장된 몫으로 남겨 둔 것입니다"
    ),
    "subject_limit": (
        "{subject}이(가) {resource}을(를) 최대 {limit} 가운데 {used} 쓰고 있어 기다립니다. "
        "이 작업은 {asked}을(를) 요청합니다"
    ),
    "subject_running": (
        "{subject}이(가) 한 번에 {limit}개까지 실행할 수 있는데 {used}개가 실행 중이라 기다립니다"
    ),
    "subject_pending": (
        "{subject}이(가) 한 번에 {limit}개까지 대기할 수 있는데 {used}개가 대기 중이라 기다립니다"
    ),
    "window_ahead": "{from_at}부터 그 자리를 쓸 예약 {reservation} 때문에 기다립니다",
    "would_delay": "{from_at}쯤 시작할 {job}이(가) 늦어지게 되므로 기다립니다",
    "stopping": "{jobs}이(가) 멈추고 자리를 비우기를 기다립니다",
    "kept_for_another": "자리를 기다립니다. 들어갈 수 있는 곳은 {job}을(를) 위해 비우는 중입니다",
    "victims_young": (
        "{jobs}이(가) 최소 실행 시간을 채우는 {from_at}까지 기다립니다. "
        "그 뒤에는 자리를 넘겨받습니다"
    ),
    "window_begins": "예약 {reservation}이(가) 시작되는 {from_at}까지 기다립니다",
    "window_over": "남은 시간대가 없는 예약 {reservation}을(를) 기다립니다",
    "round": "대기열 {queue}에서 차례를 기다립니다. {from_at}에 다시 정합니다",
    "strict_order": "대기열 {queue}에서 앞에 있는 {job}을(를) 기다립니다",
    "environment_building": "환경 {environment}을(를) 만드는 중이라 기다립니다",
    "backoff": "실패했습니다({cause}). {delay_s}초 뒤 다시 시도합니다({attempt}번째)",
    "starting": "{node}에서 시작하는 중입니다",
    "resized": "복제본 {replicas}개로 다시 시작합니다",
    "migrated": "자리를 마련하려고 옮깁니다: {gained}",
    "made_way": "{job}의 자리를 마련하려고 {source}에서 {target}(으)로 옮겼습니다",
    "completed": "잘 끝났습니다",
    "exit_code": "종료 코드 {exit_code}(으)로 실패했습니다. 이유는 로그에 있습니다",
    "signal": "신호 {signal}(으)로 끝났습니다",
    "out_of_memory": "메모리가 부족했습니다(한도 {limit}). --memory로 더 요청하세요",
    "time_limit": "시간 제한 {limit}에 걸려 중지되었습니다",
    "cancelled": "{actor} 님이 취소했습니다",
    "shutdown": "{actor} 님이 플랫폼과 함께 중지했습니다",
    "scaled_down": "복제본 수를 줄여 중지되었습니다",
    "peer_ended": "{peer} 때문에 중지되었습니다: {cause}",
    "command_not_found": "{place}에 명령 {command}이(가) 없습니다",
    "environment_failed": "환경 {environment}을(를) 쓸 수 없었습니다: {cause}",
    "folder_missing": "폴더 {folder}을(를) 마운트하지 못했습니다: {cause}",
    "disk_full": "{place}이(가) 있는 디스크가 가득 찼습니다",
    "start_failed": "시작하지 못했습니다: {cause}",
    "node_lost": "노드 {node}이(가) {since}부터 응답하지 않습니다",
    "supervisor_lost": "{node}의 감독 프로세스가 죽어 종료 코드를 알 수 없습니다",
    "node_drained": "{actor} 님이 노드 {node}을(를) 비워 중지되었습니다",
    "preempted": "{job}에 자리를 내주었습니다",
}

CLAUSES: dict[str, str] = {
    "frees": "{job}이(가) 끝나는 {free_at}쯤 첫 자리가 납니다",
    "frees_several": "{jobs}이(가) 끝나는 {free_at}쯤 자리가 납니다",
    "frees_many": "작업 {count}개가 끝나는 {free_at}쯤 자리가 납니다",
    "frees_unknown": "{jobs}이(가) 끝나야 자리가 납니다. 언제일지는 알 수 없습니다",
    "frees_many_unknown": "작업 {count}개가 끝나야 자리가 납니다. 언제일지는 알 수 없습니다",
    "frees_one_unknown": "{job}이(가) 끝나야 자리가 납니다. 언제일지는 알 수 없습니다",
    "next": "대기열 {queue}의 맨 앞입니다",
    "one_ahead": "대기열 {queue}에서 앞에 1개 있습니다",
    "ahead": "대기열 {queue}에서 앞에 {ahead}개 있습니다",
    "quota_allows": "할당량은 충분합니다",
    "shorter": "시간 제한이 {by_at} 전에 끝나면 지금 시작할 수 있습니다",
}
