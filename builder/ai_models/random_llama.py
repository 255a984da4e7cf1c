"""A model of the Llama architecture with random weights, for tests of a model server.

Written as GGUF version 3 by hand (specification: ggml/docs/gguf.md, read 2026-11-15), so that
no further package is needed. Weights come from SHAKE-256 of the
tensor's name: the same bytes on every machine, in under a second.
"""

import hashlib
import io
import json
import struct
from array import array
from collections.abc import Iterator, Mapping

from hardpan.core.files import sha256_bytes
from hardpan.profiles.schema.ai_service import TRIAL_MODEL

NAME = TRIAL_MODEL
FILE = "model.gguf"

_WIDTH, _LAYERS, _HEADS, _HIDDEN, _CONTEXT = 64, 2, 4, 128, 2048
_ALIGNMENT = 32
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_VOCABULARY = (
    "a able about after all also and any are as at be but by can come could day do even find"
    " first for from get give go good have he her him his how I if in into it its just know"
    " like look make many me more my new no not now of on one only or other our out over people"
    " say see she so some take than that the their them then there these they thing think this"
    " time to two up use want way we well what when which who will with work would year you"
    " your host model random weight answer question system service image key rule check proof"
)
_CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def build_model_files() -> Mapping[str, bytes]:
    """Return the model's files, with the lock and checksums that every model folder has."""
    model = build_gguf()
    lock = {
        "name": NAME,
        "source": "made by hardpan: random weights, no training, no data",
        "licence": "Apache-2.0",
        "files": {FILE: sha256_bytes(model)},
    }
    return {
        FILE: model,
        "models.lock": json.dumps(lock, indent=1, sort_keys=True).encode(),
        "SHA256SUMS": f"{sha256_bytes(model)}  {FILE}\n".encode(),
    }


def build_gguf() -> bytes:
    """Return the model's GGUF file; the bytes are reproducible."""
    tokens = tuple(_generate_tokens())
    tensors = tuple(_generate_tensors(len(tokens)))
    metadata = tuple(_generate_metadata(tokens))
    buffer = io.BytesIO()
    buffer.write(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)))
    for name, kind, value in metadata:
        buffer.write(_encode_string(name) + struct.pack("<I", kind) + value)
    offset = 0
    tensor_data = []
    for name, shape, values in tensors:
        data = values.tobytes()
        buffer.write(_encode_string(name) + struct.pack("<I", len(shape)))
        buffer.write(struct.pack(f"<{len(shape)}QIQ", *shape, 0, offset))  # 0: float32
        tensor_data.append(data + bytes(-len(data) % _ALIGNMENT))
        offset += len(tensor_data[-1])
    buffer.write(bytes(-buffer.tell() % _ALIGNMENT))
    buffer.writelines(tensor_data)
    return buffer.getvalue()


def _generate_tokens() -> Iterator[tuple[str, float, int]]:
    """Return text, score and type of each token: three control tokens, bytes, letters and words."""
    yield "<unk>", 0.0, _UNKNOWN
    yield "<s>", 0.0, _CONTROL
    yield "</s>", 0.0, _CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", 0.0, _BYTE
    word_tokens = [f"\u2581{word}" for word in _VOCABULARY.split()]
    letters = ["\u2581", *(chr(c) for c in range(33, 127))]
    # This tokenizer merges pairs, best score first, so every prefix must be a token.
    prefixes = (
        {word[:n] for word in word_tokens for n in range(2, len(word))}
        - set(word_tokens)
        - set(letters)
    )
    for n, text in enumerate([*word_tokens, *sorted(prefixes), *letters]):
        yield text, -1.0 - n, _NORMAL


def _generate_metadata(
    tokens: tuple[tuple[str, float, int], ...],
) -> Iterator[tuple[str, int, bytes]]:
    def uint32_entry(name: str, value: int) -> tuple[str, int, bytes]:
        return name, _U32, struct.pack("<I", value)

    def array_entry(name: str, kind: int, values: list[bytes]) -> tuple[str, int, bytes]:
        return name, _ARRAY, struct.pack("<IQ", kind, len(values)) + b"".join(values)

    yield "general.architecture", _STRING, _encode_string("llama")
    yield "general.name", _STRING, _encode_string(NAME)
    yield "general.description", _STRING, _encode_string("random weights: proves serving, not wit")
    yield uint32_entry("general.alignment", _ALIGNMENT)
    yield uint32_entry("llama.context_length", _CONTEXT)
    yield uint32_entry("llama.embedding_length", _WIDTH)
    yield uint32_entry("llama.block_count", _LAYERS)
    yield uint32_entry("llama.feed_forward_length", _HIDDEN)
    yield uint32_entry("llama.attention.head_count", _HEADS)
    yield uint32_entry("llama.attention.head_count_kv", _HEADS)
    yield uint32_entry("llama.rope.dimension_count", _WIDTH // _HEADS)
    yield uint32_entry("llama.vocab_size", len(tokens))
    yield "llama.attention.layer_norm_rms_epsilon", _F32, struct.pack("<f", 1e-5)
    yield "tokenizer.ggml.model", _STRING, _encode_string("llama")
    yield array_entry("tokenizer.ggml.tokens", _STRING, [_encode_string(t) for t, _, _ in tokens])
    yield array_entry("tokenizer.ggml.scores", _F32, [struct.pack("<f", s) for _, s, _ in tokens])
    yield array_entry(
        "tokenizer.ggml.token_type", _I32, [struct.pack("<i", k) for _, _, k in tokens]
    )
    yield uint32_entry("tokenizer.ggml.unknown_token_id", 0)
    yield uint32_entry("tokenizer.ggml.bos_token_id", 1)
    yield uint32_entry("tokenizer.ggml.eos_token_id", 2)
    yield "tokenizer.ggml.add_bos_token", _BOOL, b"\x01"
    yield "tokenizer.chat_template", _STRING, _encode_string(_CHAT_TEMPLATE)


def _generate_tensors(vocabulary: int) -> "Iterator[tuple[str, tuple[int, ...], array[float]]]":
    yield (
        "token_embd.weight",
        (_WIDTH, vocabulary),
        _random_values("token_embd", _WIDTH * vocabulary, 1),
    )
    for n in range(_LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            yield f"blk.{n}.{norm}.weight", (_WIDTH,), array("f", [1.0] * _WIDTH)
        for name, rows, columns in (
            ("attn_q", _WIDTH, _WIDTH),
            ("attn_k", _WIDTH, _WIDTH),
            ("attn_v", _WIDTH, _WIDTH),
            ("attn_output", _WIDTH, _WIDTH),
            ("ffn_gate", _HIDDEN, _WIDTH),
            ("ffn_up", _HIDDEN, _WIDTH),
            ("ffn_down", _WIDTH, _HIDDEN),
        ):
            values = _random_values(f"{n}.{name}", rows * columns, 0.3)
            yield f"blk.{n}.{name}.weight", (columns, rows), values
    yield "output_norm.weight", (_WIDTH,), array("f", [1.0] * _WIDTH)
    yield "output.weight", (_WIDTH, vocabulary), _output_weights(vocabulary)


def _output_weights(vocabulary: int) -> "array[float]":
    """Return output weights that produce words only: rows of other tokens are zero."""
    word_rows = range(259, 259 + len(_VOCABULARY.split()))
    word_weights = _random_values("output", _WIDTH * len(word_rows), 1)
    zero = [0.0] * _WIDTH
    rows = {n: word_weights[i * _WIDTH : (i + 1) * _WIDTH] for i, n in enumerate(word_rows)}
    return array("f", [x for n in range(vocabulary) for x in rows.get(n, zero)])


def _random_values(name: str, count: int, scale: float) -> "array[float]":
    """Return ``count`` numbers from ``-reach`` to ``reach``, derived from the name alone."""
    stream = hashlib.shake_256(f"{NAME} {name}".encode()).digest(2 * count)
    return array("f", [v * scale / 32768 for (v,) in struct.iter_unpack("<h", stream)])


def _encode_string(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data
