"""Many files: planned, restored one after another, reported."""
