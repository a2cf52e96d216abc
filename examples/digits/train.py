"""Train a small network on a folder of images, one class a folder, on several workers at once.

    madang job run --replicas 2 --environment vision --dataset digits@1:train \\
        --dataset digits@1:test -- python train.py digits@1:train digits@1:test --model digits

Ordinary PyTorch DistributedDataParallel over gloo. What is Madang's in it: `Dataset(…).shard` for
the worker's part of the files, `train.report` for curves, `train.checkpoints` for a folder that
outlives the attempt. mlflow finds the platform by itself.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from madang import train
from madang.data import Dataset


def main() -> None:
    options = parse_options()
    torch.manual_seed(options.seed)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    dist.init_process_group("gloo")
    rank, world = train.rank(), train.world_size()

    training = Dataset(options.train)
    classes = len(training.classes)
    images, labels = load(training.shard(rank, world), options.size)
    print(f"worker {rank} of {world}: {len(images)} of {len(training)} images, {classes} classes")

    model = network(options.size, classes)
    parallel = DistributedDataParallel(model)
    step = fit(parallel, images, labels, options)
    accuracy = evaluate(parallel, Dataset(options.test), options)
    if rank == 0:
        print(f"accuracy on {options.test}: {accuracy:.4f}")
        train.report(step, test_accuracy=accuracy)
        record(model, accuracy, step, images[:1], options)
    dist.barrier()
    dist.destroy_process_group()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train", help="dataset to learn from, e.g. digits@1:train")
    parser.add_argument("test", help="dataset to be judged on, e.g. digits@1:test")
    parser.add_argument("--model", default="", help="register the model under this name")
    parser.add_argument("--experiment", default="digits")
    parser.add_argument("--size", type=int, default=16, help="images are scaled to SIZE x SIZE")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument(
        "--batch", type=int, default=64, help="images a step, all workers together"
    )
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def network(size: int, classes: int) -> nn.Module:
    """Two convolutions and a linear layer; takes N x 1 x size x size grey values from 0 to 1."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, classes),
    )


def load(dataset: Dataset, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All labelled images of a dataset as one tensor: grey, scaled, values from 0 to 1."""
    items = [item for item in dataset if item.label >= 0]
    pixels = np.empty((len(items), 1, size, size), np.float32)
    for index, item in enumerate(items):
        with Image.open(item.path) as image:
            pixels[index, 0] = image.convert("L").resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(pixels / 255), torch.tensor([item.label for item in items])


def fit(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace
) -> int:
    """Train, going on from the last checkpoint when there is one; returns the number of steps."""
    world = train.world_size()
    # Shards may differ by one image: all workers take the same number of steps.
    smallest = torch.tensor(len(images))
    dist.all_reduce(smallest, dist.ReduceOp.MIN)
    share = max(1, min(options.batch // world, int(smallest)))
    steps = int(smallest) // share
    optimizer = torch.optim.Adam(model.parameters(), options.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.rate, total_steps=options.epochs * steps
    )
    saved = train.checkpoints()
    first_epoch = restore(saved, model, optimizer, schedule)
    for epoch in range(first_epoch, options.epochs):
        order = torch.randperm(
            len(images), generator=torch.Generator().manual_seed(options.seed + epoch)
        )
        total_loss, right = 0.0, 0
        for step in range(steps):
            chosen = order[step * share : (step + 1) * share]
            scores = model(images[chosen])
            loss = cross_entropy(scores, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total_loss += loss.item()
            right += int((scores.argmax(1) == labels[chosen]).sum())
        done = (epoch + 1) * steps
        train.report(done, loss=total_loss / steps, accuracy=right / (steps * share))
        if train.rank() == 0:
            print(f"epoch {epoch + 1}: loss {total_loss / steps:.4f}")
            if (epoch + 1) % 5 == 0 or epoch + 1 == options.epochs:
                state = [model.state_dict(), optimizer.state_dict(), schedule.state_dict()]
                kept = saved.save(epoch + 1, state, torch.save)
                print(f"saved a checkpoint: {kept.path}")
    return options.epochs * steps


def restore(
    saved: train.Checkpoints,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    """Take up the last checkpoint; the epoch to go on with."""
    latest = saved.latest()
    if latest is None:
        return 0
    for part, state in zip((model, optimizer, schedule), torch.load(latest.path), strict=True):
        part.load_state_dict(state)
    print(f"goes on after epoch {latest.step}")
    return latest.step


def evaluate(model: nn.Module, dataset: Dataset, options: argparse.Namespace) -> float:
    """The share of a dataset that is classified rightly, each worker looking at its part."""
    images, labels = load(dataset.shard(train.rank(), train.world_size()), options.size)
    with torch.inference_mode():
        right = (model.module(images).argmax(1) == labels).sum()
    counts = torch.stack([right, torch.tensor(len(labels))])
    dist.all_reduce(counts)
    return int(counts[0]) / int(counts[1])


def record(
    model: nn.Module,
    accuracy: float,
    step: int,
    example: torch.Tensor,
    options: argparse.Namespace,
) -> None:
    """Log the run and the model with mlflow's ordinary client."""
    import mlflow
    import mlflow.pytorch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    model.eval()
    shape = (-1, *example.shape[1:])
    with torch.inference_mode():
        classes = model(example).shape[1]
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), shape, "image")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, classes), "scores")]),
    )
    mlflow.set_experiment(options.experiment)
    with mlflow.start_run():
        mlflow.log_params({name: value for name, value in vars(options).items() if value != ""})
        mlflow.log_metrics({"test_accuracy": accuracy}, step=step)
        mlflow.pytorch.log_model(
            model,
            name="model",
            signature=signature,
            serialization_format="pickle",  # the other one, pt2, is fixed to a batch size
            registered_model_name=options.model or None,
            pip_requirements=train.environment_requirements() or None,
        )


if __name__ == "__main__":
    main()
