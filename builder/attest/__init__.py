"""SBOM and provenance of an image."""
