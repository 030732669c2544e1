"""The model that is trained: the de-quantized weights of a GGUF, LoRA matrices beside them, and packed rows through it.

The weights are those of the very file that is served, so that the adapter also mends what quantizing broke. Examples
are packed without padding: they lie end to end in one row, positions begin anew with each, and attention is computed
for each apart, by a causal call of its own; no mask is made, and nothing is spent on pairs of examples. The output
matrix is only multiplied where something is learnt, a tenth of the places.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import peft
import safetensors.torch
import torch
import transformers
from torch.nn import functional

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training.fit import WEIGHTS
from nlsql_gateway.training.fit_data import Encode, Example

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"Every matrix of a block, as Qwen2 and Llama name them."

_ATTENTION = "nlsql_segments"


def _segments(
    module: Any,  # noqa: ARG001 - transformers' signature of an attention
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,  # noqa: ARG001
    *,
    scaling: float | None = None,
    segments: Sequence[int] | None = None,
    **_more: Any,
) -> tuple[Any, None]:
    """Attention for packed examples (transformers, "Attention interface"); ``segments`` are where they begin and end.

    query: 1 x heads x tokens x width.
    """
    bounds = segments or (0, query.shape[2])
    parts = [
        functional.scaled_dot_product_attention(
            query[:, :, begin:end],
            key[:, :, begin:end],
            value[:, :, begin:end],
            is_causal=True,
            scale=scaling,
            enable_gqa=True,
        )
        for begin, end in pairwise(bounds)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def tokenizer(base: Path) -> tuple[Encode, Any]:
    """That of the GGUF, as a function and whole. Raises ConfigError."""
    _check(base)
    loaded = transformers.AutoTokenizer.from_pretrained(str(base.parent), gguf_file=base.name)

    def encode(text: str) -> list[int]:
        tokens: list[int] = loaded(text, add_special_tokens=False).input_ids
        return tokens

    return encode, loaded


def load(base: Path, *, device: str, dtype: str) -> Any:
    """The GGUF's model with plain weights, frozen. Raises ConfigError."""
    _check(base)
    transformers.AttentionInterface.register(_ATTENTION, _segments)
    settings: dict[str, Any] = {"dtype": getattr(torch, dtype), "attn_implementation": _ATTENTION}
    if hasattr(transformers, "GgufConfig"):  # without it every version de-quantizes
        settings["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_pretrained(str(base.parent), gguf_file=base.name, **settings)
    model.requires_grad_(requires_grad=False)
    model.config.use_cache = False
    return model.to(device)


def with_lora(model: Any, *, rank: int, alpha: float, dropout: float, name: str, recompute: bool) -> Any:
    """The PEFT model, its new matrices in float32. ``name`` of the base is written into its configuration."""
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(MODULES), task_type="CAUSAL_LM"
    )
    adapted = peft.get_peft_model(model, config, autocast_adapter_dtype=True)
    adapted.peft_config["default"].base_model_name_or_path = name
    return adapted


def take_weights(adapted: Any, folder: Path) -> None:
    """The matrices of the adapter in ``folder`` (PEFT's files) in place of the new ones. Raises ConfigError."""
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        peft.set_peft_model_state_dict(adapted, weights)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise ConfigError(f"{folder}: no adapter of this rank for this model") from error


def with_adapter(model: Any, folder: Path) -> Any:
    """``model`` with the adapter in ``folder`` (PEFT's files), to be asked and not trained."""
    return peft.PeftModel.from_pretrained(model, str(folder)).eval()


def next_logprobs(model: Any, tokens: Sequence[int]) -> Any:
    """The logarithms of the probabilities of every token as the next one."""
    inner = model.get_base_model()
    with torch.no_grad():
        hidden = inner.model(input_ids=torch.tensor([list(tokens)]), use_cache=False).last_hidden_state[0, -1]
        return inner.lm_head(hidden).float().log_softmax(-1)


def summed_loss(model: Any, row: Sequence[Example], device: str) -> Any:
    """The sum of the negative logarithms of the learnt tokens' probabilities in one packed row.

    ``model`` is a causal language model of transformers or a PEFT model around one.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    bounds = (0, *accumulate(map(len, row)))
    tokens = torch.tensor([token for example in row for token in example.tokens], device=device)
    positions = torch.cat([torch.arange(len(example), device=device) for example in row])
    # What stands at place i tells the token at i + 1.
    places = [
        start + place - 1
        for start, example in zip(bounds[:-1], row, strict=True)
        for place in range(example.begin, len(example))
    ]
    where = torch.tensor(places, device=device)
    hidden = inner.model(
        input_ids=tokens[None], position_ids=positions[None], use_cache=False, segments=bounds
    ).last_hidden_state[0]
    logits = inner.lm_head(hidden[where]).float()
    return functional.cross_entropy(logits, tokens[where + 1], reduction="sum")


def _check(base: Path) -> None:
    if not base.is_file():
        raise ConfigError(f"{base}: no such file", hint="nlsql-gateway model pull says where the embedded model is")
