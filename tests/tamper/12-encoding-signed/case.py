"""A signature over a similar message."""

from tests.tamper.kit import Evidence, build_pae, canonical_json, with_derived_id

_KIND = "application/vnd.in-toto+json"


def _statement(kit):
    statement = kit.read_statement()
    statement["predicate"]["note"] = "geprüft: übergroß"
    return canonical_json(with_derived_id(statement))


def _by(kit, message):
    return Evidence(
        files=kit.sign_payload(
            _statement(kit), signature=lambda d: kit.scan_signer.sign(message(d))
        )
    )


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.sign_payload(_statement(kit))),
    "the bare payload": lambda kit: _by(kit, lambda d: d),
    "characters counted": lambda kit: _by(kit, lambda d: build_pae(_KIND, d, len(d.decode()))),
}
