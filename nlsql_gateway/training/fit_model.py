"""The model that is trained: the de-quantized weights of a GGUF, LoRA matrices beside them, and packed rows through it.

The weights are those of the very file that is served, so that the adapter also mends what quantizing broke. Examples
are packed without padding: they lie end to end in one row, positions begin anew with each, and attention is computed
for each apart, by a call of its own; nothing is spent on pairs of examples. Those of a bundle have their beginning, the
schema, in the row once, and each goes on from it. The output matrix is only multiplied where something is learnt.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
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
from nlsql_gateway.training.fit_plan import shared

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"Every matrix of a block, as Qwen2 and Llama name them."

_ATTENTION = "nlsql_segments"


@dataclass(frozen=True, slots=True)
class Segment:
    """Places of a packed row that attend to each other, and to those of ``before`` that they go on from."""

    begin: int
    end: int
    before: tuple[int, int] = (0, 0)


def _segments(
    module: Any,  # noqa: ARG001 - transformers' signature of an attention
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,  # noqa: ARG001
    *,
    scaling: float | None = None,
    segments: Sequence[Segment] | None = None,
    **_more: Any,
) -> tuple[Any, None]:
    """Attention for packed examples (transformers, "Attention interface"). query: 1 x heads x tokens x width."""
    parts = []
    for one in segments or (Segment(0, query.shape[2]),):
        keys, values, mask = key[:, :, one.begin : one.end], value[:, :, one.begin : one.end], None
        begin, end = one.before
        if end > begin:
            keys = torch.cat([key[:, :, begin:end], keys], dim=2)
            values = torch.cat([value[:, :, begin:end], values], dim=2)
            mask = torch.ones(one.end - one.begin, keys.shape[2], dtype=torch.bool, device=key.device)
            mask = mask.tril(end - begin)
        parts.append(
            functional.scaled_dot_product_attention(
                query[:, :, one.begin : one.end],
                keys,
                values,
                attn_mask=mask,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=True,
            )
        )
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


def with_lora(model: Any, *, rank: int, alpha: float, dropout: float, name: str, recompute: bool, cast: bool) -> Any:
    """The PEFT model, its new matrices in float32. ``name`` of the base is written into its configuration.

    ``cast``: PEFT makes their inputs float32 as well; torch.autocast, where it is on, would only undo that.
    """
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(MODULES), task_type="CAUSAL_LM"
    )
    adapted = peft.get_peft_model(model, config, autocast_adapter_dtype=True)
    adapted.peft_config["default"].base_model_name_or_path = name
    for module in adapted.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = cast
    return adapted


def take_weights(adapted: Any, folder: Path) -> None:
    """The matrices of the adapter in ``folder`` (PEFT's files) in place of the new ones. Raises ConfigError."""
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
        peft.set_peft_model_state_dict(adapted, weights)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise ConfigError(f"{folder}: no adapter of this rank for this model") from error


def save_short(adapted: Any, folder: Path) -> None:
    """The adapter as PEFT's files, its matrices in float16: half as much to carry, and what a GGUF has."""
    adapted.save_pretrained(folder, save_embedding_layers=False)
    weights = safetensors.torch.load_file(folder / WEIGHTS)
    safetensors.torch.save_file({name: weight.half() for name, weight in weights.items()}, folder / WEIGHTS)


def with_adapter(model: Any, folder: Path) -> Any:
    """``model`` with the adapter in ``folder`` (PEFT's files), to be asked and not trained."""
    return peft.PeftModel.from_pretrained(model, str(folder)).eval()


def next_logprobs(model: Any, tokens: Sequence[int]) -> Any:
    """The logarithms of the probabilities of every token as the next one."""
    inner = model.get_base_model()
    with torch.no_grad():
        hidden = inner.model(input_ids=torch.tensor([list(tokens)]), use_cache=False).last_hidden_state[0, -1]
        return inner.lm_head(hidden).float().log_softmax(-1)


@dataclass(slots=True)
class _Row:
    """Bundles, laid out: what they share, then what each example has of its own."""

    tokens: list[int]
    positions: list[int]
    segments: list[Segment]
    places: list[int]
    "Where something is told of the token that comes next in its example,"
    learnt: list[int]
    "and which one that is."


def _laid_out(bundles: Sequence[Sequence[Example]]) -> _Row:
    row = _Row([], [], [], [], [])
    for bundle in bundles:
        head = shared(bundle)
        before = (len(row.tokens), len(row.tokens) + head)
        if head:
            row.segments.append(Segment(*before))
            row.tokens.extend(bundle[0].tokens[:head])
            row.positions.extend(range(head))
        for example in bundle:
            start = len(row.tokens)
            row.tokens.extend(example.tokens[head:])
            row.positions.extend(range(head, len(example)))
            row.segments.append(Segment(start, len(row.tokens), before))
            row.places.extend(start + place - head - 1 for place in range(example.begin, len(example)))
            row.learnt.extend(example.tokens[example.begin :])
    return row


def summed_loss(model: Any, bundles: Sequence[Sequence[Example]], device: str) -> Any:
    """The sum of the negative logarithms of the learnt tokens' probabilities in one packed row.

    ``model`` is a causal language model of transformers or a PEFT model around one.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    row = _laid_out(bundles)
    hidden = inner.model(
        input_ids=torch.tensor([row.tokens], device=device),
        position_ids=torch.tensor([row.positions], device=device),
        use_cache=False,
        segments=row.segments,
    ).last_hidden_state[0]
    logits = inner.lm_head(hidden[torch.tensor(row.places, device=device)]).float()
    return functional.cross_entropy(logits, torch.tensor(row.learnt, device=device), reduction="sum")


def _check(base: Path) -> None:
    if not base.is_file():
        raise ConfigError(f"{base}: no such file", hint="nlsql-gateway model pull says where the embedded model is")
