"""Differences between two scans."""
