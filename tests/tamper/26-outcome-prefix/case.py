"""Text that names an outcome."""

from dataclasses import replace

from tests.tamper.kit import Evidence
from tests.tools import sshsig
from tests.unit.evidence import samples

CONTENT = {"content": {"source_sha256": [samples.CONTENT.source_sha256]}}
LIMITS = {"max_counts": {"fail": 9}}


def _content(w, **fields):
    content = replace(samples.CONTENT, **fields)
    evaluation = replace(samples.scan().evaluation, content=content)
    return Evidence(files=w.made(evaluation=evaluation), policy=CONTENT)


def _host(w, **fields):
    host = replace(samples.HOST, host_key_sha256=sshsig.fingerprint(w.host), **fields)
    return Evidence(files=w.made(host=host), policy=CONTENT)


def _image(w, name):
    image = replace(samples.image(w.build), name=name)
    return Evidence(files=w.made(image=image), policy=CONTENT)


VARIANTS = {
    "twin": _content,
    "content: skipped": lambda w: _content(w, name="skipped: the policy names no content"),
    "content: not run": lambda w: _content(w, name="not run: an earlier check failed"),
    "content: not checked": lambda w: _content(w, name="not checked"),
    "content: fail": lambda w: _content(w, name="fail", version="over"),
    "a profile's title": lambda w: Evidence(
        files=w.made(profile="skipped: the policy names no content"), policy=CONTENT
    ),
    "a host's name": lambda w: _host(w, hostname="skipped: the policy names no hosts"),
    "an image's name": lambda w: _image(w, "skipped: the policy allows it"),
    "a rule's name, over no limit": lambda w: Evidence(
        files=w.made(
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
    "other content under such a name": lambda w: replace(
        _content(w, name="skipped: the policy names no content"),
        policy={"content": {"source_sha256": ["0" * 64]}},
    ),
}
