"""A trusted key that does another's work."""

from tests.tamper.kit import Evidence

VARIANTS = {
    "twin": lambda w: Evidence(files=w.signed(w.statement())),
    "the build key signs a scan": lambda w: Evidence(files=w.signed(w.statement(), signer=w.build)),
    "the scan key has the role verify": lambda w: Evidence(
        files=w.good, policy={"keys": w.keys(role="verify")}
    ),
}
