"""``python tiny.py FILE ARCHITECTURE KIND``: a tiny random model as a GGUF, with a tokenizer of bytes. Needs torch.

ARCHITECTURE is qwen2 or llama, KIND of the matrices F32 or Q8_0.
"""

from __future__ import annotations

import sys

import gguf
import torch
from tokenizers import pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

HEADS, KEY_HEADS, WIDTH, INNER, BLOCKS = 4, 2, 64, 96, 2
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def main(path: str, architecture: str, kind: str) -> None:
    torch.manual_seed(7)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, "SE", "Ġa", *MARKS]
    shape = {
        "vocab_size": len(tokens),
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-6,
    }
    model = {"qwen2": Qwen2ForCausalLM, "llama": LlamaForCausalLM}[architecture](
        {"qwen2": Qwen2Config, "llama": LlamaConfig}[architecture](**shape)
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.2)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in MARKS else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges(["S E", "Ġ a"])
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_add_bos_token(value=False)
    names = gguf.get_tensor_name_map(
        {"qwen2": gguf.MODEL_ARCH.QWEN2, "llama": gguf.MODEL_ARCH.LLAMA}[architecture], BLOCKS
    )
    for name, weight in model.state_dict().items():
        values = weight.numpy()
        if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = HEADS if "q_proj" in name else KEY_HEADS
            # A GGUF has the rows that are rotated together side by side.
            half = values.shape[0] // heads // 2
            values = values.reshape(heads, 2, half, WIDTH).transpose(0, 2, 1, 3).reshape(values.shape)
        wanted = gguf.GGMLQuantizationType[kind] if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert known is not None, name
        writer.add_tensor(
            known,
            gguf.quantize(values, wanted),
            raw_dtype=wanted,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main(*sys.argv[1:])
