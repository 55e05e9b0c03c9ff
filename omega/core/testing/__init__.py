"""What tests of Omega and of its plugins are made with: a fake of every seam, and the contract suites.

`fakes` needs numpy, `contracts` needs pytest too.
"""
