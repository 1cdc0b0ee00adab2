"""Runs one of two processes that train together: `ranks_worker.py RANK FOLDER` writes its results to FOLDER/RANK.pt."""

import contextlib
import datetime
import pathlib
import sys
import traceback
import warnings

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

from policies import LossBalancer, PolicyError, create_policy
from tests.policies.small_training import (
    COUNT,
    FIXED,
    FULL,
    HALVES,
    LAST_BLOCK,
    LOGIT,
    LOSSES,
    ON_LOGITS,
    SAMPLES,
    TEACHER,
    call,
    named,
    small_batches,
    small_student,
)

STEPS = 4


def own_part(batch, rank, micro_batches=1):
    """Return this rank's samples, in micro-batches; all samples in one where there are no ranks."""
    if rank is None:
        return [batch]
    size = COUNT // 2
    mine = [part[rank * size : (rank + 1) * size] for part in batch]
    return list(zip(*(torch.split(part, size // micro_batches) for part in mine), strict=True))


def whole(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor.clone()


def train(rule, rank=None, wrap=lambda student: student, *, micro_batches=1, entry="logits", empty_on_one=False):
    """Run four updates; return λ, s, the geometry, the gradients and the trained student.

    With `empty_on_one` the second rank has no samples in its last micro-batch.
    """
    student = small_student()
    model = wrap(student)
    balancer = LossBalancer(create_policy(*rule), model, total_steps=STEPS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    record = {"weight": [], "scale": [], "geometry": [], "gradients": []}
    for batch in small_batches(STEPS):
        optimizer.zero_grad()
        parts = own_part(batch, rank, micro_batches)
        for number, part in enumerate(parts, start=1):
            last = number == len(parts)
            if empty_on_one and rank == 1 and last:
                part = tuple(tensor[:0] for tensor in part)
            quiet = contextlib.nullcontext() if last or not hasattr(model, "no_sync") else model.no_sync()
            with quiet:
                step = call(balancer, model, part, entry=entry, share=1 / len(parts), update=last)
        record["weight"].append(step.decision.weight)
        record["scale"].append(step.decision.scale)
        record["geometry"].append(step.observation.geometry)
        record["gradients"].append([whole(p.grad) for p in model.parameters()])
        optimizer.step()
    record["student"] = [whole(p.detach()) for p in model.parameters()]
    return record


def ddp(**options):
    return lambda student: DistributedDataParallel(student, **options)


def sharded(student):
    mesh = init_device_mesh("cpu", (2,))
    for layer in student:
        if isinstance(layer, torch.nn.Linear):
            fully_shard(layer, mesh=mesh)
    return fully_shard(student, mesh=mesh)


def refusal(action):
    try:
        action()
    except PolicyError as error:
        return str(error)
    return None


class TwoHeads(torch.nn.Module):
    """A student with three heads: each rank uses its own, and no rank uses the third."""

    def __init__(self, rank):
        super().__init__()
        torch.manual_seed(0)
        self.heads = torch.nn.ModuleList(torch.nn.Linear(6, 3) for _ in range(3)).double()
        self.rank = rank

    def forward(self, x):
        return self.heads[self.rank](x)


def unused_parameters(rank):
    model = ddp(find_unused_parameters=True)(TwoHeads(rank))
    (batch,) = small_batches(1)
    (part,) = own_part(batch, rank)
    call(LossBalancer(create_policy(*FULL), model), model, part)
    return [p.grad for p in model.parameters()]


def broken(rank, **which):
    """Give losses that are not finite on the second rank alone."""
    model = ddp()(small_student())
    balancer = LossBalancer(create_policy(*FIXED), model)
    x, labels, teacher = small_batches(1)[0]
    logits = model(x)
    task = torch.nn.functional.cross_entropy(logits, labels)
    distill = (logits - teacher).square().mean()
    if rank == 1:
        task, distill = task * which.get("task", 1.0), distill * which.get("distill", 1.0)
    step = balancer.backward(task, distill)
    return {"weight": step.decision.weight, "gradients": [p.grad for p in model.parameters()]}


def broken_shard(rank):
    """Give a gradient that is not finite in a row that the first rank alone holds."""
    mesh = init_device_mesh("cpu", (2,))
    torch.manual_seed(0)
    model = fully_shard(torch.nn.Linear(6, 4).double(), mesh=mesh)
    x = torch.randn(5, 6).double()
    logits = model(x)
    logits.register_hook(lambda gradient: gradient.index_fill(1, torch.tensor([0]), torch.nan))
    balancer = LossBalancer(create_policy(*FIXED), model)
    balancer.backward_on_logits(logits, torch.randn(5, 4).double(), torch.zeros(5, dtype=torch.int64))
    return {"gradients": [p.grad for p in model.parameters()], "skipped": balancer.guard.skipped}


def refusals(rank):
    plain = small_student()
    static = ddp(static_graph=True)(small_student())
    pieces = sharded(small_student())
    (batch,) = small_batches(1)
    (part,) = own_part(batch, rank)

    def balancer(rule, student, **options):
        return LossBalancer(create_policy(*rule), student, **options)

    return {
        "not told": refusal(lambda: balancer(FIXED, plain)),
        "parameters not told": refusal(lambda: balancer(FIXED, list(plain.parameters()))),
        "alone": refusal(lambda: balancer(FIXED, plain, process_group="alone")),
        "told": refusal(lambda: balancer(FULL, list(plain.parameters()), process_group=dist.group.WORLD)),
        "static": refusal(lambda: balancer(FULL, static)),
        "static block": refusal(lambda: balancer(LAST_BLOCK, static)),
        "static probe": refusal(lambda: call(balancer(FIXED, static), static, part, measure_now=True)),
        "sharded": refusal(lambda: balancer(FULL, pieces)),
        "sharded block": refusal(lambda: balancer(LAST_BLOCK, pieces)),
        "sharded parameters": refusal(lambda: balancer(FULL, list(pieces.parameters()))),
        "sharded probe": refusal(lambda: call(balancer(SAMPLES, pieces), pieces, part, measure_now=True)),
        "sharded update": refusal(lambda: call(balancer(LOSSES, pieces), pieces, part, update=False)),
    }


WAYS = {
    "ddp": (ON_LOGITS, ddp(), {}),
    "ddp, accumulating": (ON_LOGITS, ddp(), {"micro_batches": 2}),
    "bucket views": ((FULL, FIXED), ddp(gradient_as_bucket_view=True), {}),
    "two losses": ((FULL, FIXED), ddp(), {"entry": "losses"}),
    "static graph": ((FIXED, LOGIT, LOSSES, SAMPLES), ddp(static_graph=True), {}),
    "sharded": ((FIXED, LOGIT, LOSSES, SAMPLES), sharded, {}),
    "sharded, accumulating": ((FIXED, SAMPLES), sharded, {"micro_batches": 2}),
    "empty": ((*ON_LOGITS, HALVES, TEACHER), ddp(), {"empty_on_one": True}),
    "empty, accumulating": ((*ON_LOGITS, HALVES, TEACHER), ddp(), {"empty_on_one": True, "micro_batches": 2}),
}
"""The ways to train in two processes: the rules, how the student is wrapped, and what else is special."""


def everything(rank):
    results = {
        (way, named(rule)): train(rule, rank, wrap, **more)
        for way, (rules, wrap, more) in WAYS.items()
        for rule in rules
    }
    results |= {"refusals": refusals(rank), "unused": unused_parameters(rank)}
    results["broken task"] = broken(rank, task=torch.nan)
    results["broken losses"] = broken(rank, task=torch.nan, distill=torch.inf)
    results["broken shard"] = broken_shard(rank)
    return results


def main():
    rank, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(minutes=2),  # for one message: a process whose peer has failed must end
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            torch.save(everything(rank), folder / f"{rank}.pt")
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
