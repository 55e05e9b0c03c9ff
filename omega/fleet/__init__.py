"""Floor 2: many devices: households that behave, and what is learned when they do."""
