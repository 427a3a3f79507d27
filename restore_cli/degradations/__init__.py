"""What happens to pictures: each degradation takes a clean one and a random generator."""
