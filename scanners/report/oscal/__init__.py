"""OSCAL assessment results and POA&M."""
