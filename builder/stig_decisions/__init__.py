"""Decisions about rules of the SCAP content that have no remediation.

The ``stig`` layer can only apply fixes that the content has. For each other rule of the STIG
``decisions.yaml`` says who meets it, and which verdict a scan of the image then has.
"""
