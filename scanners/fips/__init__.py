"""FIPS mode and CMVP certificates: facts, assessment, and their description."""
