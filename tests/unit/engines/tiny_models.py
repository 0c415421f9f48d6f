"""Real models of a few hundred kilobytes with random weights: an MLX folder and a GGUF file of any small shape.

python -m tests.unit.engines.tiny_models mlx|gguf TARGET [SHAPE-AS-JSON]

Made in a process of their own, so that the one that tests never imports a model runtime. Both runtimes get the same
tokenizer: byte-level BPE of some 500 tokens, trained here on a few sentences. Weights are float32 (half precision is slow
on a processor); sizes must be multiples of 64.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
N_TOKENS = 512
LETTERS = (
    "The gene expression of treated cells was compared with untreated controls in three replicates. "
    '{"name":"airway","count":12,"is_paired":true,"groups":["treated","control"],"alpha":0.05,"note":null} '
    "Which genes change between dexamethasone and no dexamethasone, and by how much? 0123456789 -1.5e-3 Ünïcödé 数据 "
    "A plan names its columns and levels; the report gives every number with its source, and a paper is read section "
    "by section: title, methods, results, discussion. Answer in one sentence, or say what is missing from the table. "
)


@dataclass(frozen=True)
class Shape:
    """bits: 4 or 8 for quantised weights (GGUF: 8 means Q8_0, 4 means Q4_0), 32 for plain float32."""

    hidden: int = 128
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 256
    bits: int = 4
    context: int = 8192
    seed: int = 7
    n_tokens: int = N_TOKENS  # rows of the embedding; above 512 they are never written, only held


def why_not(kind: str) -> str:
    """Why models of this kind ("mlx", "gguf") cannot be made and run here; empty when they can."""
    needs = {"mlx": ("mlx", "mlx_lm", "tokenizers"), "gguf": ("llama_cpp", "gguf", "tokenizers")}[kind]
    missing = [name for name in needs if importlib.util.find_spec(name) is None]
    return f"not installed here: {', '.join(missing)}" if missing else ""


def make(kind: str, target: Path, shape: Shape = Shape()) -> Path:
    """Write a model of `kind` at `target` (a folder for "mlx", a file for "gguf") and return it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.engines.tiny_models", kind, str(target), json.dumps(asdict(shape))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return target


# ---- in the process that makes them ------------------------------------------------------------------------------


def _tokenizer() -> object:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=N_TOKENS,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([LETTERS] * 4, trainer)
    return made


def _write_mlx(folder: Path, shape: Shape) -> None:
    import mlx.core as mx
    from mlx_lm.models import qwen2
    from mlx_lm.utils import quantize_model, save_config, save_model
    from transformers import PreTrainedTokenizerFast

    mx.random.seed(shape.seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(), eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(str(folder))
    config = {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "intermediate_size": shape.ffn,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-6,
        "vocab_size": shape.n_tokens,
        "max_position_embeddings": shape.context,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "eos_token_id": tokenizer.eos_token_id,
        "torch_dtype": "float32",
    }
    model = qwen2.Model(qwen2.ModelArgs.from_dict(config))
    model.lm_head.weight = model.lm_head.weight * 20  # far from equal odds, so that greedy choices are clear
    if shape.bits < 32:
        model, config = quantize_model(model, config, 64, shape.bits)
    save_model(folder, model)
    save_config(config, folder / "config.json")


def _write_gguf(path: Path, shape: Shape) -> None:
    import gguf
    import numpy as np

    draw = np.random.default_rng(shape.seed)
    table = json.loads(_tokenizer().to_str())["model"]  # type: ignore[attr-defined]
    tokens = sorted(table["vocab"], key=table["vocab"].__getitem__)
    tokens += [f"[unused{n}]" for n in range(shape.n_tokens - len(tokens))]
    kinds = [gguf.TokenType.CONTROL if token in SPECIALS else gguf.TokenType.NORMAL for token in tokens]
    path.parent.mkdir(parents=True, exist_ok=True)
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_context_length(shape.context)
    out.add_embedding_length(shape.hidden)
    out.add_block_count(shape.layers)
    out.add_feed_forward_length(shape.ffn)
    out.add_head_count(shape.heads)
    out.add_head_count_kv(shape.kv_heads)
    out.add_layer_norm_rms_eps(1e-6)
    out.add_rope_dimension_count(shape.hidden // shape.heads)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types([int(kind) for kind in kinds])
    out.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in table["merges"]])
    out.add_eos_token_id(tokens.index("<|im_end|>"))
    out.add_bos_token_id(tokens.index("<|endoftext|>"))
    out.add_add_bos_token(False)
    out.add_chat_template(TEMPLATE)
    kind = {
        4: gguf.GGMLQuantizationType.Q4_0,
        8: gguf.GGMLQuantizationType.Q8_0,
        32: gguf.GGMLQuantizationType.F32,
    }[shape.bits]

    def add(name: str, rows: int, columns: int, scale: float = 1.0) -> None:
        values = (draw.standard_normal((rows, columns)) * scale / columns**0.5).astype(np.float32)
        out.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    kv = shape.hidden // shape.heads * shape.kv_heads
    add("token_embd.weight", len(tokens), shape.hidden, scale=4)
    for n in range(shape.layers):
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"blk.{n}.{name}.weight", np.ones(shape.hidden, np.float32))
        for name, rows in (("attn_q", shape.hidden), ("attn_k", kv), ("attn_v", kv), ("attn_output", shape.hidden)):
            add(f"blk.{n}.{name}.weight", rows, shape.hidden)
        add(f"blk.{n}.ffn_gate.weight", shape.ffn, shape.hidden)
        add(f"blk.{n}.ffn_up.weight", shape.ffn, shape.hidden)
        add(f"blk.{n}.ffn_down.weight", shape.hidden, shape.ffn)
    out.add_tensor("output_norm.weight", np.ones(shape.hidden, np.float32))
    add("output.weight", len(tokens), shape.hidden, scale=4)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    _kind, _target, _shape = sys.argv[1], Path(sys.argv[2]), Shape(**json.loads((sys.argv[3:] or ["{}"])[0]))
    {"mlx": _write_mlx, "gguf": _write_gguf}[_kind](_target, _shape)
