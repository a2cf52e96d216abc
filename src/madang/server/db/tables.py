"""Every table, so that migrations and tests see all of them: import your domain's here."""

from madang.server.db import leases
from madang.server.identity import tables as identity
from madang.server.tracking import tables as tracking

__all__ = ["identity", "leases", "tracking"]
