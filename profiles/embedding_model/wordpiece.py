"""The embedding model's tokenizer. It is sent to targets and needs Python 3.9 alone."""

import unicodedata
from pathlib import Path


class WordPiece:
    """BERT's uncased tokenizer (Devlin et al. 2018), from its vocabulary file."""

    def __init__(self, vocabulary: Path) -> None:
        self.ids = {word: n for n, word in enumerate(vocabulary.read_text("utf-8").split("\n"))}

    def encode(self, text: str, *, max_tokens: int) -> list[int]:
        """Return token ids with [CLS] and [SEP], truncated to ``max_tokens``."""
        plain = unicodedata.normalize("NFD", text.lower())
        unaccented = "".join(c for c in plain if unicodedata.category(c) != "Mn")
        spaced = "".join(f" {c} " if unicodedata.category(c)[0] in "PS" else c for c in unaccented)
        tokens = ["[CLS]"]
        for word in spaced.split():
            tokens += self._split_word(word)
            if len(tokens) >= max_tokens:
                break
        return [self.ids[token] for token in [*tokens[: max_tokens - 1], "[SEP]"]]

    def _split_word(self, word: str) -> list[str]:
        tokens: list[str] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                token = ("##" if start else "") + word[start:end]
                if token in self.ids:
                    break
            else:
                return ["[UNK]"]
            tokens.append(token)
            start = end
        return tokens
