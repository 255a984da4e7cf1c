"""DISA's STIGs as data: requirements, severities, CCIs and the controls they stand for."""
