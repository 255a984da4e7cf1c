"""The AI service: rendered configuration files and the programs that run on the target."""
