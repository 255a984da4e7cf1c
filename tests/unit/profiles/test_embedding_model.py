"""The embedding model: one identity, and one tokenizer that is sent to targets."""

import ast
from pathlib import Path

import pytest

from hardpan.builder.ai_models import embedding
from hardpan.builder.ai_service.render import render_files
from hardpan.core.resources import resource_path
from hardpan.profiles import embedding_model
from hardpan.profiles.embedding_model.wordpiece import WordPiece
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners.collect.smoke import MODEL_SHA256, build_program

VOCABULARY = "[UNK]\n[CLS]\n[SEP]\ncafe\nscan\n##ner\n,\n!"
PROGRAM_DIR = "/usr/libexec/hardpan/ai_service/ai_service"


@pytest.fixture
def tokenizer(tmp_path: Path) -> WordPiece:
    path = tmp_path / "vocab.txt"
    path.write_text(VOCABULARY, encoding="utf-8")
    return WordPiece(path)


@pytest.mark.parametrize(
    ("text", "max_tokens", "expected"),
    [
        ("Café, scanner!", 16, [1, 3, 6, 4, 5, 7, 2]),
        ("cafe unknown scan", 16, [1, 3, 0, 4, 2]),
        ("scanner scanner scanner", 5, [1, 4, 5, 4, 2]),
        ("", 16, [1, 2]),
    ],
    ids=["accents and punctuation", "unknown word", "truncated", "empty"],
)
def test_tokenizer_splits_text_into_word_pieces(
    tokenizer: WordPiece, text: str, max_tokens: int, expected: list[int]
) -> None:
    assert tokenizer.encode(text, max_tokens=max_tokens) == expected


def test_ai_service_program_contains_the_tokenizer() -> None:
    files = render_files(load_profile("lab-ai"))

    source = resource_path("hardpan.profiles.embedding_model", "wordpiece.py").read_bytes()
    assert files[f"{PROGRAM_DIR}/wordpiece.py"] == source
    assert b"\nfrom .wordpiece import WordPiece\n" in files[f"{PROGRAM_DIR}/minilm.py"]
    programs = [data for path, data in files.items() if path.startswith(PROGRAM_DIR)]
    assert len(programs) >= 10
    assert not any(b"import hardpan" in p or b"from hardpan" in p for p in programs)


def test_smoke_program_contains_the_tokenizer() -> None:
    program = build_program()

    classes = [n.name for n in ast.parse(program).body if isinstance(n, ast.ClassDef)]
    assert classes == ["WordPiece", "MiniLM"]
    assert b"hardpan" not in program


@pytest.mark.parametrize("program", [b"", embedding_model.TOKENIZER_IMPORT * 2])
def test_program_must_import_the_tokenizer_once(program: bytes) -> None:
    with pytest.raises(ValueError, match="tokenizer import: expected once in the program, got"):
        embedding_model.replace_tokenizer_import(program, b"")


def test_builder_and_scanner_use_the_same_model() -> None:
    script = resource_path("hardpan.builder.ansible", "shared", "ai_host.sh").read_text("utf-8")

    assert embedding_model.FILE_SHA256[embedding_model.WEIGHTS] == MODEL_SHA256
    assert f"/{embedding.FOLDER}" == embedding_model.FOLDER
    assert f"\nmodel={embedding.FOLDER}\n" in script
