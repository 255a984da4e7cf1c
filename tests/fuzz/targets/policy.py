"""Damaged trust policies: one that is taken trusts the keys it names, for what it names them."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from hardpan.core.errors import InputError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.evidence.evidence_fixture import create_fixture as make_evidence

YAML_PIECES = (
    *(b"&a ", b"*a", b"&a [*a]", b"<<: ", b"<<: *a", b"!!int ", b"!!binary ", b"!!python/name:os "),
    *(
        b"? [a]\n: b\n",
        b"? ",
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"{a: b}",
        b"[[",
        b"|\n",
        b">-\n",
    ),
    *(
        b"\n",
        b"\n  ",
        b"\t",
        b"#",
        b"'",
        b'"',
        b"\\",
        b"%YAML 1.1\n",
        b"%TAG ! x\n",
        b"---\n",
        b"...\n",
    ),
    *(b"20261122", b"2026-11-22", b"1:30", b"012", b"0x1F", b"1_000", b".inf", b".nan", b"1e400"),
    *(
        b"true",
        b"on",
        b"~",
        b"null",
        b"-1",
        b"9" * 400,
        b'"\\ud800"',
        b'"\\UFFFFFFFF"',
        b"\0",
        b"\xff",
    ),
    *(b"\xef\xbb\xbf", "\x85".encode(), "\u2028".encode(), "\U0001f600".encode()),
)
_EXTRA = """
expires: 2027-11-01T00:00:00Z
nonce: 7c9e1b0d55aa4e6f
max_age_hours: 24
previous_statement: {sequence: 4, statement_sha256: DIGEST}
target: {host_keys: [HOST], require_host_signature: true}
content: {profile_ids: [xccdf_org.ssgproject.content_profile_stig]}
image: {require_provenance: true}
max_counts: {fail: 3}
max_open: {high: 0}
min_score: 61.5
""".replace("HOST", "SHA256:" + "A" * 43).replace("DIGEST", "0" * 64)


def target(folder: Path) -> FuzzTarget:
    """Policies with keys in files and with inline keys."""
    lab = make_evidence(folder)
    path = lab.ring.policy.with_name("fuzz.yaml")
    policy_with_files = lab.ring.policy.read_text("utf-8").partition("# More than this")[0] + _EXTRA
    public = lab.scan.public.pem.replace("\n", "\n      ").rstrip()
    inline_policy = policy_with_files.replace("spki: scan.pub", f"spki: |\n      {public}")
    for good in (policy_with_files, inline_policy):
        path.write_text(good, "utf-8")
        assert len(load_trust_policy(path).keys) == 2
    trusted_spkis = {lab.scan.public.spki, lab.build.public.spki}

    def check(data: bytes) -> str:
        path.write_bytes(data)
        try:
            trust = load_trust_policy(path)
        except InputError as e:
            if not all(line.startswith(str(path)) for line in str(e).splitlines()):
                raise AssertionError(f"a problem without its place: {e}") from e
            raise
        assert trust.sha256 == sha256_bytes(data)
        try:
            named: Any = yaml.safe_load(data)
        except (yaml.YAMLError, ValueError):
            return "taken, by another reading of a scalar than PyYAML's"
        assert [k["role"] for k in named["keys"]] == [k.role for k, _ in trust.keys]
        assert {public.spki for _, public in trust.keys} <= trusted_spkis
        assert all(k.not_before < k.not_after for k, _ in trust.keys)
        return "taken"

    return FuzzTarget(
        name="policy",
        inputs=st.one_of(
            mutate_samples([policy_with_files.encode(), inline_policy.encode()], YAML_PIECES),
            replace_values(policy_with_files.encode()),
        ),
        check=check,
    )


@st.composite
def replace_values(draw: DrawFn, sample: bytes) -> bytes:
    """``sample`` with the value or the name of one or two of its settings replaced."""
    lines = sample.split(b"\n")
    settings = [n for n, line in enumerate(lines) if b": " in line]
    for _ in range(draw(st.integers(1, 2))):
        number = draw(st.sampled_from(settings))
        name, colon, value = lines[number].partition(b": ")
        piece = draw(st.sampled_from(YAML_PIECES))
        value = draw(st.sampled_from((piece, piece + value, value + piece)))
        lines[number] = name + colon + value if draw(st.integers(0, 5)) else piece + lines[number]
    return b"\n".join(lines)
