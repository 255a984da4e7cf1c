"""Remediation from evidence: fixes for exactly the failed rules of a scan."""
