"""`restore doctor`: is everything there, does it work, and what to do where not."""
