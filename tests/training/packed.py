"""``python packed.py BASE``: what a packed row must be equal to. Prints JSON. Needs torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from nlsql_gateway.training import fit_model
from nlsql_gateway.training.fit_data import Example


def main(path: str) -> None:
    base = Path(path)
    chance = torch.Generator().manual_seed(3)
    examples = [
        Example(tuple(torch.randint(0, 256, (size,), generator=chance).tolist()), begin, False)
        for size, begin in ((9, 4), (30, 29), (17, 1))
    ]
    model = fit_model.load(base, device="cpu", dtype="float32")
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
    with torch.no_grad():
        packed = fit_model.summed_loss(model, examples, "cpu").item()
        other = fit_model.summed_loss(model, examples[::-1], "cpu").item()
    print(json.dumps({"packed": packed, "in another order": other, "one by one": expected}))


main(*sys.argv[1:])
