"""A model made ready to run, and pictures through it."""
