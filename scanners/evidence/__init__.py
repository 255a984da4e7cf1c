"""Signed evidence: statement, envelope, bundle, policy and verifier."""
