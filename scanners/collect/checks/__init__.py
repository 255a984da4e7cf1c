"""The testinfra checks that run against a target. ``queries`` lists their commands."""
