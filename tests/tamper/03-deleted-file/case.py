"""A listed file is removed."""

from tests.tamper.kit import Evidence, without_files

VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "a listed file": lambda kit: Evidence(files=without_files(kit.valid_files, "arf-2.xml")),
    "the second statement": lambda kit: Evidence(
        files=without_files(kit.valid_files, "evidence.test-result.sigstore.json")
    ),
    "the copy of the signature": lambda kit: Evidence(
        files=without_files(kit.valid_files, "statement.sig")
    ),
    "the bundle": lambda kit: Evidence(
        files=without_files(kit.valid_files, "evidence.sigstore.json")
    ),
}
