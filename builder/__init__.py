"""Builder pipeline: profile -> media -> install -> layers -> sysprep -> provenance."""
