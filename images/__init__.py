"""The catalogue of install media and the lab media's own builder."""
