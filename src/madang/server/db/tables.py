"""Every table, so that migrations and tests see all of them: import your domain's here."""

from madang.server.cluster import tables as cluster
from madang.server.db import leases
from madang.server.environments import tables as environments
from madang.server.identity import tables as identity
from madang.server.serving import tables as serving
from madang.server.storage import tables as storage
from madang.server.tracking import tables as tracking
from madang.server.workloads import tables as workloads

__all__ = [
    "cluster",
    "environments",
    "identity",
    "leases",
    "serving",
    "storage",
    "tracking",
    "workloads",
]
