"""Parser of OpenSCAP's result files (ARF)."""
