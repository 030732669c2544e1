"""``export ADAPTER OUT``: PEFT's files -> the GGUF that llama.cpp loads. Needs no torch.

A GGUF LoRA (ggml, docs/gguf.md; llama.cpp, include/llama.h, llama_adapter_lora_init) has

general.type = "adapter", adapter.type = "lora", general.architecture = the base's
adapter.lora.alpha: llama.cpp multiplies with alpha / rank
NAME.weight.lora_a, NAME.weight.lora_b for each matrix NAME.weight of the base that is changed: inputs to rank, rank to
outputs

What it cannot say (DoRA, biases, ranks by module, whole modules) is refused here and not left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training.fit import WEIGHTS, embedded, extra
from nlsql_gateway.training.fit_data import digest

ARCHITECTURES = ("qwen2", "llama")
"Bases whose names are known to fit. Llama's queries and keys lie in another order in a GGUF."

BASE_KEY, WEIGHTS_KEY = "nlsql_gateway.base.sha256", "nlsql_gateway.adapter.sha256"
"Of the base's file and of PEFT's: what the adapter was made for and from."

_PREFIX = "base_model.model."
_PART = re.compile(r"(?P<module>.+)\.lora_(?P<end>[AB])\.weight")

Precision = Literal["f32", "f16", "bf16"]


@dataclass(frozen=True, slots=True)
class Base:
    """What is asked of the GGUF that the adapter is for."""

    architecture: str
    blocks: int
    heads: int
    key_heads: int
    shapes: dict[str, tuple[int, int]]
    "Name of a matrix -> inputs, outputs."


@click.command()
@click.argument("adapter", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--base", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: the embedded model."
)
@click.option("--precision", type=click.Choice(["f32", "f16", "bf16"]), default="f16", show_default=True)
@click.option("--name", default="", help="The adapter's name in the file; default: OUT's.")
def command(adapter: Path, out: Path, base: Path | None, precision: Precision, name: str) -> None:
    """Write ADAPTER, a directory of PEFT's, as the GGUF file OUT."""
    try:
        count = export(adapter, out, base or embedded(), precision, name or out.stem)
    except ImportError as error:
        raise extra() from error
    click.echo(f"{out}: {count} matrices changed, {out.stat().st_size / 1e6:.1f} MB, SHA-256 {digest(out)}")


def export(adapter: Path, out: Path, base: Path, precision: Precision, name: str) -> int:
    """Write ``out``, all or nothing; the number of the base's matrices that it changes. Raises ConfigError."""
    import gguf

    known = read_base(base)
    alpha = _alpha(adapter)
    kind = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16}.get(
        precision, gguf.GGMLQuantizationType.BF16
    )
    unfinished = out.with_name(f".{out.name}.part")
    writer = gguf.GGUFWriter(unfinished, known.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base.stem)
    writer.add_description(f"LoRA for {base.name}")
    writer.add_string(BASE_KEY, digest(base))
    writer.add_string(WEIGHTS_KEY, digest(adapter / WEIGHTS))
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    count = 0
    for tensor, values in _tensors(adapter, known):
        writer.add_tensor(tensor, gguf.quantize(values, kind), raw_dtype=kind)
        count += 1
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    unfinished.replace(out)
    return count // 2


def read_base(base: Path) -> Base:
    """Raises ConfigError: not a GGUF, or of an architecture that is not known here."""
    reader = _open(base)
    architecture = _value(reader, "general.architecture")
    if architecture not in ARCHITECTURES:
        raise ConfigError(f"{base}: the architecture {architecture} is none of {', '.join(ARCHITECTURES)}")
    heads = int(_value(reader, f"{architecture}.attention.head_count"))
    return Base(
        architecture,
        int(_value(reader, f"{architecture}.block_count")),
        heads,
        int(_value(reader, f"{architecture}.attention.head_count_kv", heads)),
        # A GGUF names the fastest dimension first: that of the inputs.
        {str(t.name): (int(t.shape[0]), int(t.shape[1])) for t in reader.tensors if len(t.shape) == 2},
    )


def made_from(gguf_file: Path) -> tuple[str, str]:
    """SHA-256 of the base and of PEFT's weights, as ``export`` wrote them. Raises ConfigError: it did not."""
    reader = _open(gguf_file)
    base, weights = _value(reader, BASE_KEY), _value(reader, WEIGHTS_KEY)
    if not (base and weights):
        raise ConfigError(f"{gguf_file} does not say what it was made from: export wrote it?")
    return str(base), str(weights)


def _open(file: Path) -> Any:
    import gguf

    try:
        return gguf.GGUFReader(file)
    except (OSError, ValueError, IndexError) as error:  # the last: it is cut off
        raise ConfigError(f"{file}: not a GGUF file ({error})") from error


def _value(reader: Any, key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _alpha(adapter: Path) -> float:
    """What llama.cpp divides by the rank. Raises ConfigError for what a GGUF LoRA cannot say."""
    path = adapter / "adapter_config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no configuration of PEFT's") from error
    if config.get("peft_type") != "LORA":
        raise ConfigError(f"{path}: peft_type is {config.get('peft_type')}, not LORA")
    unsayable = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "lora_bias", "layer_replication")
    found = [key for key in unsayable if config.get(key)] + ["bias"] * (config.get("bias", "none") != "none")
    if found:
        raise ConfigError(f"{path}: a GGUF LoRA cannot say {', '.join(found)}")
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    return alpha * math.sqrt(rank) if config.get("use_rslora") else alpha


def _tensors(adapter: Path, base: Base) -> Iterator[tuple[str, Any]]:
    """Name and values in float32 of each tensor of the GGUF, by pairs. Raises ConfigError."""
    import gguf
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = adapter / WEIGHTS
    try:
        found = load_file(path)
    except (OSError, SafetensorError, TypeError, KeyError) as error:  # numpy has no bfloat16
        raise ConfigError(f"{path}: not the float32 matrices of an adapter ({error})") from error
    names = gguf.get_tensor_name_map(_architecture(base.architecture), base.blocks)
    parts: dict[str, dict[str, Any]] = {}
    for key, values in found.items():
        match = _PART.fullmatch(key.removeprefix(_PREFIX))
        if match is None:
            raise ConfigError(f"{path}: {key} is not a part of a LoRA for a linear layer")
        parts.setdefault(match["module"], {})[match["end"]] = values.astype(np.float32)
    if not parts:
        raise ConfigError(f"{path}: it is empty")
    for module, ends in sorted(parts.items()):
        name = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
        shape = base.shapes.get(name or "")
        if name is None or shape is None or set(ends) != {"A", "B"}:
            raise ConfigError(f"{path}: {module} is no matrix of the base, or one half of it is missing")
        down, up = ends["A"], ends["B"]
        if (down.shape[1], up.shape[0]) != shape or down.shape[0] != up.shape[1]:
            raise ConfigError(
                f"{path}: {module} is {down.shape[1]} to {up.shape[0]}, in the base {shape[0]} to {shape[1]}"
            )
        if base.architecture == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
            up = _interleaved(up, base.heads if "attn_q" in name else base.key_heads)
        yield f"{name}.lora_a", down
        yield f"{name}.lora_b", up


def _interleaved(rows: Any, heads: int) -> Any:
    """Rows of a Llama's queries or keys in a GGUF's order: its rotation pairs neighbours, and Transformers' pairs a row
    of a head's first half with that of the second."""
    outputs, rank = rows.shape
    return rows.reshape(heads, 2, outputs // heads // 2, rank).swapaxes(1, 2).reshape(outputs, rank)


def _architecture(name: str) -> Any:
    import gguf

    return next(arch for arch, known in gguf.MODEL_ARCH_NAMES.items() if known == name)
