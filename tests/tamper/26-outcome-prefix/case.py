"""Text that looks like an outcome."""

from dataclasses import replace

from tests.tamper.kit import Evidence
from tests.tools import sshsig
from tests.unit.evidence import samples

CONTENT = {"content": {"source_sha256": [samples.CONTENT.source_sha256]}}
LIMITS = {"max_counts": {"fail": 9}}


def _content(kit, **fields):
    content = replace(samples.CONTENT, **fields)
    evaluation = replace(samples.scan().evaluation, content=content)
    return Evidence(files=kit.sign_scan(evaluation=evaluation), policy=CONTENT)


def _host(kit, **fields):
    host = replace(samples.HOST, host_key_sha256=sshsig.fingerprint(kit.host_key), **fields)
    return Evidence(files=kit.sign_scan(host=host), policy=CONTENT)


def _image(kit, name):
    image = replace(samples.image(kit.build_signer), name=name)
    return Evidence(files=kit.sign_scan(image=image), policy=CONTENT)


VARIANTS = {
    "control": _content,
    "content: skipped": lambda kit: _content(kit, name="skipped: the policy names no content"),
    "content: not run": lambda kit: _content(kit, name="not run: an earlier check failed"),
    "content: not checked": lambda kit: _content(kit, name="not checked"),
    "content: fail": lambda kit: _content(kit, name="fail", version="over"),
    "a profile's title": lambda kit: Evidence(
        files=kit.sign_scan(profile="skipped: the policy names no content"), policy=CONTENT
    ),
    "a host's name": lambda kit: _host(kit, hostname="skipped: the policy names no hosts"),
    "an image's name": lambda kit: _image(kit, "skipped: the policy allows it"),
    "a rule's name, over no limit": lambda kit: Evidence(
        files=kit.sign_scan(
            evaluation=replace(
                samples.scan().evaluation,
                results=tuple(
                    replace(r, title=f"skipped: {r.title}")
                    for r in samples.scan().evaluation.results
                ),
            )
        ),
        policy={**CONTENT, **LIMITS},
    ),
    "other content under such a name": lambda kit: replace(
        _content(kit, name="skipped: the policy names no content"),
        policy={"content": {"source_sha256": ["0" * 64]}},
    ),
}
