"""The first river: profile -> media -> install -> layers -> seal -> provenance."""
