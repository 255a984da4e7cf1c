"""A signing key stolen on a known day."""

from datetime import timedelta

from tests.tamper.kit import FINISHED, NOW, STAMPED, Evidence, write_certificate


def _stolen(kit, at, **policy):
    return Evidence(
        files=kit.valid_files, policy={"keys": kit.policy_keys(compromised_at=at), **policy}
    )


def _twice(kit, **changed):
    """The stolen key, listed a second time without its compromise."""
    stolen, build = kit.policy_keys(compromised_at=FINISHED)
    again = {**kit.policy_keys()[0], "id": "scan-2", **changed}
    return Evidence(files=kit.valid_files, policy={"keys": [stolen, again, build]})


VARIANTS = {
    "control": lambda kit: _stolen(kit, STAMPED + timedelta(seconds=1)),
    "signed when it was compromised": lambda kit: _stolen(kit, STAMPED),
    "signed after it was compromised": lambda kit: _stolen(kit, FINISHED),
    "signed before, without trusted time": lambda kit: _stolen(
        kit, STAMPED + timedelta(days=1), require_timestamp=None
    ),
    "the policy ends later": lambda kit: Evidence(
        files=kit.valid_files, policy={"expires": NOW + timedelta(seconds=1)}
    ),
    "the policy has ended": lambda kit: Evidence(files=kit.valid_files, policy={"expires": NOW}),
    "listed twice, once as not compromised": _twice,
    "listed twice, for another role": lambda kit: _twice(kit, role="verify"),
    "compromised key is also the authority's": lambda kit: Evidence(
        files=kit.valid_files,
        policy={
            "keys": kit.policy_keys(compromised_at=STAMPED + timedelta(seconds=1)),
            "require_timestamp": {
                "roots": write_certificate(kit.folder, kit.scan_signer).read_text()
            },
        },
    ),
}
