"""STIG checklists."""
