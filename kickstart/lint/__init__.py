"""Lint rules for rendered kickstarts."""
