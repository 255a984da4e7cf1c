"""Check the evidence's archive, signature, statement and documents, and set them in the context."""

from hardpan.scanners.evidence.policy.model import PolicyKey
from hardpan.scanners.evidence.statement.model import read_statement
from hardpan.scanners.evidence.verify.context import VerificationContext, VerifiedSignature
from hardpan.scanners.evidence.verify.verification_log import CheckOutcome, Passed
from hardpan.signing import PublicKey


def check_archive(context: VerificationContext) -> CheckOutcome:
    """Check the structure of the archive.

    Raises:
        InputError: the file cannot be read.
        TrustError: the structure is not exactly the writer's.
    """
    return context.source.check_archive()


def check_bundle(context: VerificationContext) -> CheckOutcome:
    """Read the Sigstore bundle.

    Raises:
        TrustError: it is missing or malformed.
    """
    context.envelope = context.source.load_bundle()
    return Passed()


def check_signature(context: VerificationContext) -> CheckOutcome:
    """Verify the bundle's signature with the policy's keys of role scan.

    Raises:
        TrustError: it is by none of them.
    """
    keys: dict[PublicKey, PolicyKey] = {
        public: key for key, public in context.trust.keys_for_role("scan")
    }
    payload, public = context.envelope.verify(*keys)
    key = keys[public]
    context.signature = VerifiedSignature(payload=payload, key=key, public=public)
    return Passed(f"key {key.id!r}, role {key.role}")


def check_statement(context: VerificationContext) -> CheckOutcome:
    """Parse the statement.

    Raises:
        TrustError: it is incomplete, or of an unknown type.
    """
    context.statement = read_statement(context.payload)
    return Passed()


def check_detached_copies(context: VerificationContext) -> CheckOutcome:
    """Check that statement, signature and timestamp files equal the bundle's.

    Raises:
        TrustError: one does not.
    """
    return context.source.check_detached_copies(context.envelope, context.statement)


def check_files(context: VerificationContext) -> CheckOutcome:
    """Check that the attached files are exactly the listed ones, with the listed digests.

    Raises:
        TrustError: a file is missing, not listed, or has another digest.
    """
    return context.source.check_files(context.statement)


def check_findings(context: VerificationContext) -> CheckOutcome:
    """Read the documents and check that they agree with the statement.

    Raises:
        TrustError: one is malformed or disagrees.
    """
    context.evidence, outcome = context.source.read_documents(context.envelope, context.statement)
    return outcome


def check_test_result(context: VerificationContext) -> CheckOutcome:
    """Check the test-result statement against the findings and the key of the bundle.

    Raises:
        TrustError: it disagrees, or another key signed it.
    """
    return context.source.check_test_result(context.evidence, context.signature.public)


def check_oscal(context: VerificationContext) -> CheckOutcome:
    """Check that the key of the bundle signed the OSCAL assessment results.

    Raises:
        TrustError: it did not.
    """
    return context.source.check_oscal(context.statement, context.signature.public)
