"""A trusted key with another role."""

from tests.tamper.kit import Evidence

VARIANTS = {
    "control": lambda kit: Evidence(files=kit.sign_payload(kit.read_statement())),
    "the build key signs a scan": lambda kit: Evidence(
        files=kit.sign_payload(kit.read_statement(), signer=kit.build_signer)
    ),
    "the scan key has the role verify": lambda kit: Evidence(
        files=kit.valid_files, policy={"keys": kit.policy_keys(role="verify")}
    ),
}
