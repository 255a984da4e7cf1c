"""The embedding model: its identity, and the tokenizer that programs on the target share.

The builder installs the model and the scanner's smoke test requires exactly this one, so its
definition is below both. Programs that run on the target without hardpan import the tokenizer by
``TOKENIZER_IMPORT``; whoever sends such a program replaces that line.
"""

from hardpan.core.files import Sha256
from hardpan.core.resources import resource_path

NAME = "all-MiniLM-L6-v2"

FOLDER = f"/opt/ai/models/{NAME}"
"""Folder of the model's files on the target."""

WEIGHTS = "model.safetensors"

FILE_SHA256 = {
    WEIGHTS: Sha256("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    "vocab.txt": Sha256("07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    "config.json": Sha256("953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
}
"""Digests of the model's files; another file is another model."""

TOKENIZER_IMPORT = b"from hardpan.profiles.embedding_model.wordpiece import WordPiece\n"
"""How a program for the target imports the tokenizer in the checkout."""

_TOKENIZER = resource_path("hardpan.profiles.embedding_model", "wordpiece.py")


def read_tokenizer() -> bytes:
    """Return the source of the tokenizer's module; it needs only the standard library."""
    return _TOKENIZER.read_bytes()


def replace_tokenizer_import(program: bytes, replacement: bytes) -> bytes:
    """Return ``program`` with its import of the tokenizer replaced.

    Raises:
        ValueError: the program does not contain the import exactly once.
    """
    if program.count(TOKENIZER_IMPORT) != 1:
        raise ValueError(
            f"tokenizer import: expected once in the program, got {program.count(TOKENIZER_IMPORT)}"
        )
    return program.replace(TOKENIZER_IMPORT, replacement)
