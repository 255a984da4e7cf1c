"""Further in-toto predicates of a scan."""
