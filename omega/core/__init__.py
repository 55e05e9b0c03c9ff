"""Floor 0: what every other room may import, and which imports none of them."""
