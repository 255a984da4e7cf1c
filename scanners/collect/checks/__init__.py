"""The testinfra checks that run against a target. ``asked`` lists what they ask."""
