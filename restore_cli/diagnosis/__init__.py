"""What is wrong with a picture, how badly, and how sure that is; no networks, no reference."""
