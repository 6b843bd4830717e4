"""Train the network on made-up texts and write its weights."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch
from features import Vocabulary
from generate import Example, Generator
from network import Network
from torch.nn import functional as F  # noqa: N812  (its usual name)
from trihook_bidaf.sizes import SPAN

Coded = tuple[list[int], list[int], int, int]


def code(example: Example, vocabulary: Vocabulary) -> Coded:
    """Number the words of an example."""
    words = [vocabulary.add(word) for word in example.context]
    return words, [vocabulary.add(word) for word in example.query], example.start, example.end


def batches(coded: list[Coded], size: int) -> list[list[Coded]]:
    """Put examples of like length together, in random order."""
    jitter = torch.rand(len(coded)) * 12
    lengths = torch.tensor([len(context) for context, *_ in coded])
    order = torch.argsort(lengths + jitter).split(size)
    return [[coded[i] for i in order[k]] for k in torch.randperm(len(order))]


def tensors(rows: list[list[int]], tables: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """Pad rows of word numbers and look up what is known of the words."""
    width = max(map(len, rows))
    index = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(width)[None] < lengths[:, None]).float()
    ids, flags, hashes = (table[index] for table in tables)
    return {"mask": mask, "ids": ids, "flags": flags, "hashes": hashes}


def score(network: Network, batch: list[Coded], tables: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Give the scores of all spans, flat."""
    contexts, queries, _, _ = zip(*batch, strict=True)
    return network(tensors(contexts, tables), tensors(queries, tables)).flatten(1)


def targets(batch: list[Coded]) -> torch.Tensor:
    """Give the places of the answers among the flat scores."""
    return torch.tensor([start * SPAN + end - start for _, _, start, end in batch])


def evaluate(network: Network, coded: list[Coded], tables: tuple[torch.Tensor, ...]) -> float:
    """Give the share of exactly right answers."""
    network.eval()
    right = 0
    with torch.no_grad():
        for batch in batches(coded, 64):
            right += int((score(network, batch, tables).argmax(-1) == targets(batch)).sum())
    network.train()
    return right / len(coded)


def as_tables(vocabulary: Vocabulary) -> tuple[torch.Tensor, ...]:
    """Give the vocabulary's tables as tensors."""
    return tuple(torch.from_numpy(table) for table in vocabulary.tables())


def train_round(
    network: Network,
    fresh: list[Coded],
    tables: tuple[torch.Tensor, ...],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    size: int,
) -> float:
    """Go through the examples once and give the mean loss."""
    total = 0.0
    for batch in batches(fresh, size):
        loss = F.cross_entropy(score(network, batch, tables), targets(batch))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item() * len(batch)
    return total / len(fresh)


def main() -> None:
    """Train for a number of rounds, each on fresh examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--rounds", type=int, default=18)
    parser.add_argument("--examples", type=int, default=6_400, help="a round")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=0.01)
    steps = options.rounds * options.examples // options.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, steps, pct_start=0.1)
    vocabulary = Vocabulary()
    generator = iter(Generator(options.seed))
    tests = itertools.islice(Generator(options.seed + 1000, test=True), 500)
    held_out = [code(example, vocabulary) for example in tests]
    began = time.monotonic()
    for number in range(options.rounds):
        fresh = [code(e, vocabulary) for e in itertools.islice(generator, options.examples)]
        tables = as_tables(vocabulary)
        loss = train_round(network, fresh, tables, optimizer, schedule, options.batch)
        exact = evaluate(network, held_out, tables)
        seconds = time.monotonic() - began
        sys.stdout.write(f"{number:3} {seconds:6.0f} s  loss {loss:.3f}  held out {exact:.3f}\n")
        sys.stdout.flush()
        save(network, options.weights)


def save(network: Network, path: Path) -> None:
    """Write the weights, as half floats; the same weights make the same file."""
    np.savez(path, **{k: v.numpy().astype(np.float16) for k, v in network.state_dict().items()})


if __name__ == "__main__":
    main()
