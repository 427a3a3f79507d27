"""The only code that touches picture files, clamps, rounds or rotates."""
