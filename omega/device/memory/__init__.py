"""What a household's brain remembers: episodes, the skills they add up to, idle work on both, and words for them."""
