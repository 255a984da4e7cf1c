"""Remove secrets from text before it goes into a log, a message or a result.

``SecretFilter`` removes secrets that are known by value, e.g. the sudo password in a target's
output; ``cut_password_hashes`` shortens the password hashes in OpenSCAP's results. ``redact`` finds
likely secrets by pattern: in exception messages, command lines and program output.
"""

import base64
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import TypeVar, cast
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
_REPLACEMENTS = (REDACTED, "[removed]", "***", "---")
_MIN_SECRET_CHARS = 4
_MIN_ENCODED_CHARS = 5
"""Characters: encodings of a shorter secret would match everywhere, and are not removed."""

T = TypeVar("T")

_PASSWORD_HASH = re.compile(
    rb"(grub\.pbkdf2\.sha(?:1|224|256|384|512)\.[0-9]{1,10}\.)[0-9A-Fa-f]{8,2048}\.[0-9A-Fa-f]{20,2048}"
    rb"|(\$[156]\$)(?:rounds=[0-9]{1,10}\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{22,86}"
    rb"|(\$2[abxy]\$)[0-9]{2}\$[./0-9A-Za-z]{53}"
    rb"|(\$(?:y|gy|7)\$)[./0-9A-Za-z]{1,86}(?:\$[./0-9A-Za-z]{1,86})?\$[./0-9A-Za-z]{43}"
)
"""GRUB's password hashes and those of crypt(5), in full length; a group names the algorithm."""

_HASH_PREFIXES = (b"grub.pbkdf2.", b"$1$", b"$5$", b"$6$", b"$2", b"$y$", b"$gy$", b"$7$")
_MAX_HASH_BYTES = 8192
"""More than the longest text that ``_PASSWORD_HASH`` matches."""

_NAME_PATTERN = r"[\w-]{0,40}(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|pin(?:-value)?)"
_VALUE_PATTERN = r"[^\s'\"&;,]+"
_SECRET_OPTION = re.compile(rf"--?{_NAME_PATTERN}", re.IGNORECASE)
_REDACTION_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), prefix)
    for pattern, prefix in (
        (r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{1,40}-----|\Z)", ""),
        # The password of scheme://user:password@host.
        (r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{0,256}:)[^\s/@'\"]{1,256}(?=@)", r"\1"),
        (r"\b((?:Bearer|Basic) )[a-z0-9+/=._~-]{8,}", r"\1"),
        (rf"(--{_NAME_PATTERN} ){_VALUE_PATTERN}", r"\1"),
        (rf"((?<![\w-]){_NAME_PATTERN}['\"]?\s?[=:]\s?['\"]?){_VALUE_PATTERN}", r"\1"),
        (r"\b(pass:)(?=\S)[^\s'\"]+", r"\1"),  # openssl's -passin
        # crypt(5), and the hash that 'hardpan hash-password' prints.
        (r"\$(?:[1256]|2[aby]|y|gy|7|pbkdf2-sha512)\$[\w./$,=+-]{8,}", ""),
        # Keys that the AI service generates, and tokens of GitHub.
        (r"\b(?:hp_[\w-]{40,}|gh[pousr]_\w{20,})", ""),
    )
)


def redact(text: str) -> str:
    """Return ``text`` with likely secrets replaced by ``[redacted]``."""
    for pattern, prefix in _REDACTION_RULES:
        text = pattern.sub(prefix + REDACTED, text)
    return text


def redact_argv(argv: Iterable[str]) -> tuple[str, ...]:
    """Redact each argument, and the argument after an option such as ``--pin``."""
    redacted: list[str] = []
    is_value = False
    for argument in argv:
        redacted.append(REDACTED if is_value else redact(argument))
        is_value = _SECRET_OPTION.fullmatch(argument) is not None
    return tuple(redacted)


def cut_password_hashes(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of ``chunks`` with each password hash cut after its algorithm.

    OpenSCAP copies lines of ``/etc/shadow`` and of GRUB's ``user.cfg`` into its results. A hash
    allows guessing the password offline, and evidence is meant to be shared.
    """
    carry = b""
    for chunk in chunks:
        data = carry + chunk
        safe_end = max(0, len(data) - _MAX_HASH_BYTES)
        if any(prefix in data for prefix in _HASH_PREFIXES):  # much faster than the expression
            for match in _PASSWORD_HASH.finditer(data):
                if match.start() < safe_end < match.end():
                    safe_end = match.start()
            yield _cut_hashes(data[:safe_end])
        else:
            yield data[:safe_end]
        carry = data[safe_end:]
    yield _cut_hashes(carry)


def _cut_hashes(data: bytes) -> bytes:
    def keep_algorithm(match: re.Match[bytes]) -> bytes:
        algorithm: bytes = match[match.lastindex or 0]
        return algorithm + REDACTED.encode()

    return _PASSWORD_HASH.sub(keep_algorithm, data)


class SecretFilter:
    """Replaces known secrets, as they are and in the encodings that programs commonly write.

    A secret that is encrypted, compressed or split over several values is not found.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        non_empty = [secret for secret in secrets if secret]
        forms = {form for secret in non_empty for form in encode_variants(secret)}
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._forms = tuple(ordered)
        self._texts = tuple(dict.fromkeys(f.decode("utf-8", "surrogateescape") for f in ordered))
        safe_replacements = (
            r for r in _REPLACEMENTS if not any(secret in r for secret in non_empty)
        )
        self._replacement = next(safe_replacements, "")

    def filter_bytes(self, data: bytes) -> bytes:
        """Return ``data`` without the secrets."""
        replacement = self._replacement.encode()
        for form in self._forms:
            data = data.replace(form, replacement)
        return data

    def filter_text(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        for form in self._texts:
            text = text.replace(form, self._replacement)
        return text

    def filter_chunks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes of ``chunks`` without the secrets, also across chunk boundaries."""
        if not self._forms:
            yield from chunks
            return
        overlap = len(self._forms[0]) - 1
        carry = b""
        for chunk in chunks:
            data = self.filter_bytes(carry + chunk)
            safe_end = max(0, len(data) - overlap)
            carry = data[safe_end:]
            yield data[:safe_end]
        yield carry

    def filter_value(self, value: T) -> T:
        """Return ``value`` without the secrets in the strings and bytes that it contains."""
        return cast(T, self._filter(value)) if self._forms else value

    def _filter(self, value: object) -> object:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self.filter_text(value)
        if isinstance(value, bytes):
            return self.filter_bytes(value)
        if isinstance(value, tuple):
            return tuple(self._filter(item) for item in value)
        if isinstance(value, Mapping):
            return {self._filter(key): self._filter(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            changed = {name: self._filter(getattr(value, name)) for name in names}
            return dataclasses.replace(value, **changed)
        return value


def encode_variants(secret: str) -> frozenset[bytes]:
    """Return the encodings of ``secret``: itself always, the others if they are long enough."""
    data = secret.encode("utf-8", "surrogateescape")
    if len(secret) < _MIN_SECRET_CHARS:
        return frozenset((data,))
    # It imports urllib.request, ssl and email, which most runs of hardpan do not need.
    from xml.sax.saxutils import escape

    code_points = [ord(c) for c in secret]
    texts = [
        secret[::-1],
        *(json.dumps(secret, ensure_ascii=is_unicode)[1:-1] for is_unicode in (True, False)),
        *("".join(f"\\u{n:04{case}}" for n in code_points) for case in "xX"),
        escape(secret),
        escape(secret, {'"': "&quot;"}),
        escape(secret, {'"': "&quot;", "'": "&apos;"}),
        escape(secret, {'"': "&#34;", "'": "&#39;"}),
        escape(secret, {'"': "&quot;", "'": "&#x27;"}),
        "".join(f"&#{n};" for n in code_points),
        *("".join(f"&#x{n:{case}};" for n in code_points) for case in "xX"),
        quote(secret, safe="", errors="surrogateescape"),
        quote(secret, errors="surrogateescape"),
        quote_plus(secret, errors="surrogateescape"),
        *("".join(f"%{b:02{case}}" for b in data) for case in "xX"),
        *("".join(f"\\x{b:02{case}}" for b in data) for case in "xX"),
        "".join(f"\\{b:03o}" for b in data),
        *(
            separator.join(f"{b:02{case}}" for b in data)
            for case in "xX"
            for separator in ("", " ", ":")
        ),
        base64.b32encode(data).decode().rstrip("="),
        *_base64_variants(data),
    ]
    encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    encoded += [secret.encode(name, "surrogatepass") for name in ("utf-16-le", "utf-16-be")]
    return frozenset((data, *(form for form in encoded if len(form) >= _MIN_ENCODED_CHARS)))


def _base64_variants(data: bytes) -> Iterator[str]:
    """Yield the base64 of ``data`` inside longer data, for each of the three alignments."""
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + data).decode().rstrip("=")
        start = (offset * 8 + 5) // 6
        stop = (offset + len(data)) * 8 // 6
        yield text[start:stop]
        yield text[start:stop].replace("+", "-").replace("/", "_")
