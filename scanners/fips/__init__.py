"""FIPS told honestly: what was seen, what the list of certificates says, and the words for it."""
