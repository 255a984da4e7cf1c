"""Foundation: errors, processes, files, events and the console."""
