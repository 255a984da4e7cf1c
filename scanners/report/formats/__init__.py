"""Report formats other than HTML, STIG checklists and OSCAL."""
