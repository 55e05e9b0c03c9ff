"""A functional check of one TV: everything that can be wrong with it is tried, and what is wrong says what to do.

Nothing of the household's is written, but for the mark that its next start is to look at every row, when damage was
found. Its store is looked at in a copy, with its log; what the program does is tried on a store of its own; both lie in
a temporary folder that vanishes.
"""
