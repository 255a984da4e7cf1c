"""One file per verb of the builder."""
