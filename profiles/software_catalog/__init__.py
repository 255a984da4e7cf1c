"""Catalog of the repositories and packages of the AI layers, and the packages of a profile."""
