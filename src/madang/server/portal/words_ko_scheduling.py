"""Korean sentences of the pages on the cluster, queues, reservations and their history."""

from __future__ import annotations

SCHEDULING: dict[str, str] = {
    "1 day": "1일",
    "1 hour": "1시간",
    "30 days": "30일",
    "6 hours": "6시간",
    "7 days": "7일",
    "99 of 100 less than": "100개 중 99개의 대기 시간",
    "A machine appears here as soon as the agent on it is started.": (
        "머신에서 에이전트를 시작하면 바로 여기에 나타납니다."
    ),
    "A number of -1000 to 1000, or one of: {names}. More goes first.": (
        "-1000에서 1000 사이의 수, 또는 {names} 중 하나입니다. 큰 쪽이 먼저 시작합니다."
    ),
    "A project's first job makes its default one; shares are given with more.": (
        "프로젝트의 첫 작업이 기본 대기열을 만듭니다. 몫을 나누려면 더 만드세요."
    ),
    "Accelerators held, by queue": "대기열별로 쓰는 가속기",
    "All nodes": "모든 노드",
    "Any pool": "모든 풀",
    "Asked for by those that wait": "기다리는 작업이 요청한 양",
    "Bars count accelerators": "막대: 가속기",
    "Bars count {resource}": "막대: {resource}",
    "Before a job may be preempted": "선점되기 전까지 보장하는 시간",
    "Borrowed": "빌린 양",
    "Borrows at most": "최대로 빌리는 양",
    "CPUs": "CPU",
    "CPUs on each node": "노드당 CPU",
    "Cancel it": "예약 취소",
    "Change": "바꾸기",
    "Change {name}": "{name} 바꾸기",
    "Change…": "바꾸기…",
    "Close": "닫기",
    "Could still get": "더 받을 수 있는 양",
    "Delete…": "삭제…",
    "Drain": "비우기",
    "Drain {node}?": "{node}을(를) 비울까요?",
    "Drain…": "비우기…",
    "Each day": "매일",
    "Each has": "노드마다 있는 것",
    "Each week": "매주",
    "Expected start": "예상 시작",
    "Fair share": "공정한 몫",
    "Fair share by weight": "가중치에 따른 공정한 몫",
    "For how many hours": "몇 시간 동안",
    "Free": "비어 있음",
    "Free there": "남은 것",
    "Free, {memory}": "비어 있음, {memory}",
    "From": "시작",
    "GPU model (any when empty)": "GPU 모델 (비우면 아무것이나)",
    "GPUs": "GPU",
    "GPUs on each node": "노드당 GPU",
    "Guarantee": "보장",
    "Guarantee: kept for it": "보장: 이 대기열을 위해 남겨 둡니다",
    "Half waited less than": "절반의 대기 시간",
    "Held for the project's jobs in this window; others' jobs flow around it.": (
        "이 시간 동안 프로젝트의 작업을 위해 잡아 둡니다. 다른 작업은 이 시간을 피해 갑니다."
    ),
    "History": "기록",
    "Holds": "잡아 둔 자원",
    "How many of these": "이런 노드 몇 개",
    "How often": "반복",
    "In use": "사용 중",
    "It begins with the first node and job.": "첫 노드와 작업부터 기록됩니다.",
    "Its share": "이 대기열의 몫",
    "Its share goes to the other queues. Jobs that have ended stay.": (
        "몫은 다른 대기열로 갑니다. 끝난 작업은 남습니다."
    ),
    "Jobs start from it": "작업을 시작함",
    "Jobs start from {name} again.": "{name}에서 다시 작업이 시작됩니다.",
    "Jobs that wait, by queue": "대기열별로 기다리는 작업",
    "Labels": "레이블",
    "Labels (rack says where it stands)": "레이블 (rack은 놓인 자리입니다)",
    "Last day (when it comes again)": "마지막 날 (반복할 때)",
    "Left over: likely too small for anyone": "자투리: 아무도 쓰기 어려운 크기",
    "Lends at most": "최대로 빌려주는 양",
    "Lent": "빌려준 양",
    "Limit": "한도",
    "Limit: never more than this": "한도: 이보다 더 쓰지 않습니다",
    "Machine": "머신",
    "Make it": "만들기",
    "Memory": "메모리",
    "Memory on each node": "노드당 메모리",
    "Missing": "모자란 것",
    "Monday to Friday": "월요일부터 금요일",
    "Move": "옮기기",
    "Move {name}": "{name} 옮기기",
    "Needs": "필요한 것",
    "New queue": "새 대기열",
    "New queue below…": "아래에 새 대기열…",
    "Nine of ten less than": "10개 중 9개의 대기 시간",
    "No history yet": "아직 기록이 없습니다",
    "No nodes yet": "아직 노드가 없습니다",
    "No queues yet": "아직 대기열이 없습니다",
    "Nobody waits here": "여기서 기다리는 작업이 없습니다",
    "Nodes": "노드",
    "Nodes that do not answer: {count}.": "응답하지 않는 노드는 {count}개입니다.",
    "Nodes that take nothing new: {count}.": "새로 받지 않는 노드는 {count}개입니다.",
    "Nothing is reserved in this week.": "이번 주에는 예약이 없습니다.",
    "Nothing more starts from {name}; what runs goes on.": (
        "{name}에서 더 시작하지 않습니다. 실행 중인 작업은 계속됩니다."
    ),
    "Nothing new is placed on it, and these {count} tasks are stopped. Each is told to save its "
    "work first, and begins again on another node when one has room.": (
        "새로 배치하지 않으며, 아래 태스크 {count}개를 중지합니다. 먼저 작업을 저장하게 하고, "
        "자리가 있는 다른 노드에서 다시 시작합니다."
    ),
    "Nothing new is placed on it. Nothing runs there now.": (
        "새로 배치하지 않습니다. 지금 실행 중인 것은 없습니다."
    ),
    "Nothing new is placed on {node}; what runs there goes on.": (
        "{node}에 새로 배치하지 않습니다. 실행 중인 작업은 계속됩니다."
    ),
    "Nothing reserved": "예약 없음",
    "Nothing runs here now.": "지금 실행 중인 것이 없습니다.",
    "Once": "한 번",
    "Open": "열기",
    "Order within": "안에서의 순서",
    "Others'": "다른 사람 것",
    "Part of": "상위 대기열",
    "Place in line": "순서",
    "Place nothing new": "배치 중지",
    "Pool": "풀",
    "Pool (any when empty)": "풀 (비우면 아무 곳이나)",
    "Pool (jobs may ask for one)": "풀 (작업이 지정할 수 있습니다)",
    "Pool and labels of {node}": "{node}의 풀과 레이블",
    "Pool and labels…": "풀과 레이블…",
    "Priority": "우선순위",
    "Priority (low, normal, high, urgent, or a number)": (
        "우선순위 (low, normal, high, urgent 또는 수)"
    ),
    "Priority of {name}": "{name}의 우선순위",
    "Queue": "대기열",
    "Queue (the project's default when empty)": "대기열 (비우면 프로젝트의 기본 대기열)",
    "Queues": "대기열",
    "Queues below {name}: {count}": "{name} 아래의 대기열: {count}개",
    "Reservations": "예약",
    "Reservations in this week: {active} held now, {planned} still to come.": (
        "이번 주 예약: 지금 잡아 둔 것 {active}개, 앞으로 {planned}개."
    ),
    "Reserve": "예약",
    "Reserve for {project}": "{project}을(를) 위한 예약",
    "Resource": "자원",
    "Save": "저장",
    "Seconds before a job may be preempted": "작업이 선점되기 전까지 보장하는 시간(초)",
    "Show the first {count}": "처음 {count}개 보기",
    "Starts about {time}": "{time}쯤 시작",
    "Starts now": "바로 시작",
    "Take {start} to {end}": "{start}부터 {end}까지로",
    "Takes nothing new": "새로 받지 않음",
    "The arithmetic, by kinds of nodes": "노드 종류별 계산",
    "The numbers": "숫자로 보기",
    "The simulator replays this cluster's own history with other queues, policies or nodes.": (
        "시뮬레이터는 이 클러스터의 기록을 다른 대기열, 정책, 노드로 다시 돌려 봅니다."
    ),
    "The week after": "다음 주",
    "The week before": "지난 주",
    "The weight of {name} is {weight:g} now; it was {before:g}.": (
        "{name}의 가중치를 {before:g}에서 {weight:g}(으)로 바꾸었습니다."
    ),
    "There are": "전체",
    "This week": "이번 주",
    "This does not fit beside what else is reserved. These windows would do:": (
        "다른 예약과 겹쳐 들어갈 수 없습니다. 다음 시간에는 됩니다."
    ),
    "This does not fit beside what else is reserved, and no window near it does.": (
        "다른 예약과 겹쳐 들어갈 수 없고, 가까운 시간에도 자리가 없습니다."
    ),
    "Times are in {zone}.": "시간대는 {zone}입니다.",
    "To": "끝",
    "Undo": "되돌리기",
    "Use again": "다시 사용",
    "Wait before the start, by queue (median)": "대기열별 시작 전 대기 시간(중앙값)",
    "Waits by queue": "대기열별 대기 시간",
    "Weight": "가중치",
    "Weight among its siblings": "형제 대기열 사이의 가중치",
    "Weight of {name}": "{name}의 가중치",
    "Weight of {name}, as a number": "{name}의 가중치(숫자)",
    "What else it has": "그 밖에 있는 것",
    "What else it has, and how much of it": "그 밖에 있는 것과 그 수",
    "What for": "용도",
    "What if?": "만약에?",
    "What is submitted to this queue starts at once.": (
        "이 대기열에 제출한 작업은 바로 시작합니다."
    ),
    "What it borrows may be taken back": "빌린 자원을 돌려받을 수 있음",
    "What it holds is given back at once. Its jobs go on, without a place kept.": (
        "잡아 둔 자원을 바로 돌려줍니다. 작업은 계속되지만 자리는 보장되지 않습니다."
    ),
    "What to do with {node}": "{node}에 할 일",
    "Who gets how much of the cluster, and in what order.": (
        "누가 클러스터를 얼마나, 어떤 순서로 쓰는지 봅니다."
    ),
    "Who waits": "기다리는 작업",
    "Whose it is": "소유",
    "Why it waits": "기다리는 이유",
    "Would fit if empty": "비어 있다면 들어갈 수",
    "Would fit now": "지금 들어갈 수",
    "Would wait": "기다리게 됩니다",
    "Yours": "내 것",
    "about {time}": "{time}쯤",
    "accelerators": "가속기(개)",
    "active": "진행 중",
    "closed": "닫힘",
    "ended": "끝남",
    "jobs": "작업(개)",
    "minutes": "분",
    "no accelerators": "가속기 없음",
    "no bound": "제한 없음",
    "none: at the top": "없음: 맨 위",
    "not known": "알 수 없음",
    "of another project": "다른 프로젝트",
    "planned": "예정",
    "returned": "돌려줌",
    "seconds": "초",
    "the platform's": "플랫폼",
    "weight {weight}, {percent} % of what it shares": "가중치 {weight}, 나누는 양의 {percent} %",
    "{count} closed": "닫힘 {count}",
    "{count} free": "비어 있음 {count}",
    "{count} in use": "사용 중 {count}",
    "{count} left over": "자투리 {count}",
    "{count} running": "{count}개 실행 중",
    "{device} (simulated)": "{device} (모의)",
    "A slice that the hardware keeps apart": "하드웨어가 분리해 두는 조각",
    "Shared cooperatively: nothing enforces the parts": "협조적 공유: 몫은 강제되지 않음",
    "{names} and {count} more": "{names} 외 {count}개",
    "{name} has priority {priority} now.": "{name}의 우선순위는 이제 {priority}입니다.",
    "{name} is cancelled.": "{name} 예약을 취소했습니다.",
    "{name} is reserved.": "{name}을(를) 예약했습니다.",
    "{name} waits in {queue} now.": "{name}은(는) 이제 {queue}에서 기다립니다.",
    "{name}: {what}, {times}, {state}": "{name}: {what}, {times}, {state}",
    "{node}, {model} number {index}": "{node}, {model} {index}번",
    "{number} h": "{number}시간",
    "{number} min": "{number}분",
    "{number} s": "{number}초",
    "{path} is closed, nothing more starts from it. Running: {running}, waiting: {waiting}.": (
        "{path}은(는) 닫혀 있어 더 시작하지 않습니다. {running}개 실행 중, {waiting}개 대기 중."
    ),
    "{path}. Running: {running}, waiting: {waiting}.": (
        "{path}: {running}개 실행 중, {waiting}개 대기 중."
    ),
    "{percent} % and {memory} are free": "{percent} %와 {memory}이(가) 비어 있음",
    "{percent} % and {memory} are left over": "{percent} %와 {memory}이(가) 자투리로 남음",
    "{percent} % is held by another project since {since}": (
        "{since}부터 다른 프로젝트가 {percent} % 사용"
    ),
    "{percent} %: {job} of {user} in {project}, since {since}": (
        "{percent} %: {project}의 {user} 님 작업 {job}, {since}부터"
    ),
    "{position} of {count} in {queue}": "{queue}에서 {count}개 중 {position}번째",
    "Queues: {queues}. Jobs that run: {running}, that wait: {waiting}.": (
        "대기열 {queues}개에서 작업 {running}개가 실행 중이고 {waiting}개가 기다립니다."
    ),
    "{resource} in use": "사용 중인 {resource}",
    "{started} jobs started; of ten, nine waited less than {wait} in every queue.": (
        "작업 {started}개가 시작했습니다. 모든 대기열에서 열에 아홉은 {wait} 안에 시작했습니다."
    ),
    "{used:g} of {all:g}": "{all:g} 중 {used:g}",
    "{used:g} of {all:g} CPUs": "CPU {all:g}개 중 {used:g}",
    "{used} in use, fair share {fair}": "{used} 사용 중, 공정한 몫 {fair}",
    "{used} in use, {borrowed} above the guarantee of {guarantee}": (
        "{used} 사용 중, 보장 {guarantee}보다 {borrowed} 더"
    ),
    "{used} of {all}": "{all} 중 {used}",
    "{used} of {guarantee} guaranteed in use": "보장 {guarantee} 중 {used} 사용 중",
    "{used} of {total} accelerators in use. Nodes: {nodes}. Jobs that wait: {waiting}.": (
        "노드 {nodes}개의 가속기 {total}개 중 {used}개 사용 중, 작업 {waiting}개가 기다립니다."
    ),
    "{weight:g}: {fair} of the cluster while its siblings want more; it has {share}": (
        "{weight:g}: 형제 대기열도 더 원할 때 클러스터의 {fair}, 지금은 {share}"
    ),
    "{words}; at most {limit}": "{words}, 한도 {limit}",
}
