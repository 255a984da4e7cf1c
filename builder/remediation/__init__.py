"""Remediation of failed rules on the system that is being built."""
