"""Audit a folder of wheels for a host in FIPS mode. Nothing in a wheel is ever run."""
