"""Programs of the AI service on the target: login, knowledge base, model server launcher.

Copied to the target unchanged and run with ``-I`` by the serving stack's Python (3.12 or later).
Imports nothing of hardpan; numpy is the only dependency outside the standard library.
"""
