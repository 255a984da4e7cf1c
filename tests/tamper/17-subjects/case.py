"""An ambiguous list of subjects."""

from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.file_names import OSCAL
from tests.tamper.kit import Evidence


def _first(kit, **fields):
    return Evidence(files=kit.resign_changed(lambda s: s["subject"][0].update(fields)))


def _digest(kit, **digests):
    return _first(kit, digest=digests)


def _more(kit, **fields):
    def add(s):
        s["subject"].append({**s["subject"][0], **fields})

    return Evidence(files=kit.resign_changed(add))


def _attached(kit):
    """A signature file listed as a subject, so that its own check does not run."""
    content = b"anything"

    def change(s):
        s["predicate"]["companionFiles"].remove(OSCAL)
        s["subject"].append({"name": OSCAL, "digest": {"sha256": sha256_bytes(content)}})

    return Evidence(files={**kit.resign_changed(change), OSCAL: content})


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.resign_changed(lambda s: None)),
    "none": lambda kit: Evidence(files=kit.resign_changed(lambda s: s.update(subject=[]))),
    "no digest": _digest,
    "only md5": lambda kit: _digest(kit, md5="0" * 32),
    "only sha1": lambda kit: _digest(kit, sha1="0" * 40),
    "a short digest": lambda kit: _digest(kit, sha256="ab" * 31),
    "upper case": lambda kit: Evidence(
        files=kit.resign_changed(
            lambda s: s["subject"][0]["digest"].update(
                sha256=s["subject"][0]["digest"]["sha256"].upper()
            )
        )
    ),
    "a name with two digests": lambda kit: _more(kit, digest={"sha256": "0" * 64}),
    "a name twice": _more,
    "a name in another case": lambda kit: _more(kit, name="ARF-1.XML"),
    "the OSCAL statement as a mere attachment": _attached,
    "no name": lambda kit: _first(kit, name=""),
}
