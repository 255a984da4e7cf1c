"""Verification of evidence against a trust policy."""
