"""What training code imports: who am I, how is it going, where do checkpoints go.

    from madang import train

    train.rank(), train.world_size()
    train.declare(total=5000)
    train.report(step, loss=loss, accuracy=accuracy)
    train.checkpoints().save(step, model.state_dict(), torch.save)

Works the same outside of a task: alone, with rank 0 of 1, and reports that go nowhere. Needs the
standard library, no more, and never gets in the way of the training: `report` does not wait.
"""

from madang.train.checkpoints import Checkpoint, Checkpoints, checkpoint_dir, checkpoints
from madang.train.context import (
    Context,
    context,
    environment_requirements,
    local_rank,
    rank,
    world_size,
)
from madang.train.reports import Reporter, declare, dropped_reports, report, saved

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "Context",
    "Reporter",
    "checkpoint_dir",
    "checkpoints",
    "context",
    "declare",
    "dropped_reports",
    "environment_requirements",
    "local_rank",
    "rank",
    "report",
    "saved",
    "world_size",
]
