"""What changed between two scans, and the ledger that remembers them."""
