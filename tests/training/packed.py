"""``python packed.py BASE``: what a packed row must be equal to. Prints JSON. Needs torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from nlsql_gateway.training import fit_model, fit_plan
from nlsql_gateway.training.fit_data import Example


def main(path: str) -> None:
    base = Path(path)
    chance = torch.Generator().manual_seed(3)

    def some(size: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, 256, (size,), generator=chance).tolist())

    head = some(20)
    alone = [[Example(some(9), 4, False)], [Example(some(30), 29, False)], [Example(some(17), 1, False)]]
    alike = [Example((*head, *some(size)), begin, False) for size, begin in ((5, 24), (9, 21), (30, 40))]
    same = [Example((*head, *some(3)), 20, False) for _ in range(2)]  # one prompt, two answers
    bundles = [alone[0], alike, *alone[1:], same]
    examples = [example for bundle in bundles for example in bundle]
    assert fit_plan.shared(alike) == 20
    assert fit_plan.shared(same) == 19
    model = fit_model.with_lora(
        fit_model.load(base, device="cpu", dtype="float32"),
        rank=4, alpha=4.0, dropout=0.0, name="", recompute=False, cast=True,
    )  # fmt: skip
    plain = AutoModelForCausalLM.from_pretrained(
        str(base.parent), gguf_file=base.name, dtype=torch.float32, attn_implementation="eager"
    )
    expected = 0.0
    for example in examples:
        tokens = torch.tensor([list(example.tokens)])
        labels = tokens.clone()
        labels[:, : example.begin] = -100  # transformers' mark for what is not learnt
        with torch.no_grad():
            expected += plain(input_ids=tokens, labels=labels).loss.item() * example.learnt

    def gradient(rows: list[list[list[Example]]]) -> tuple[float, torch.Tensor]:
        model.zero_grad()
        total = 0.0
        for row in rows:
            loss = fit_model.summed_loss(model, row, "cpu")
            loss.backward()
            total += loss.item()
        return total, torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])

    packed, slopes = gradient([bundles])
    other, _ = gradient([bundles[::-1]])
    _, each = gradient([[[example]] for example in examples])
    told = {"packed": packed, "in another order": other, "one by one": expected}
    print(json.dumps({**told, "gradients differ by": ((slopes - each).norm() / each.norm()).item()}))


main(*sys.argv[1:])
