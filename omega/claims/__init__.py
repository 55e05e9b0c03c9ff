"""Floor 4: every public figure as a claim that can be run: measured, beside an oracle, held or not."""
