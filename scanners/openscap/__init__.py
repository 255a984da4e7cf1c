"""OpenSCAP: results and their evaluation."""
