"""What runs on the machine: the login, the knowledge base, the model server's keeper.

Copied there as it is and run by the serving stack's Python (3.12 or later) with ``-I``;
imports nothing of hardpan, and numpy alone beyond Python's own library.
"""
