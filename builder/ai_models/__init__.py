"""AI models that a build creates or installs."""
