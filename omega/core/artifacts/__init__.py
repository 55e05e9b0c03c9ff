"""What an operator publishes to its TVs beside the sync: signed, content-addressed files of a known kind.

An operator signs (`keys`) a manifest (`manifest`) and puts it with the file and patches (`patches`) on a shelf
(`shelf`). A TV asks for what it lacks (`fetching`), and takes nothing that isn't signed, newer and whole (`accepted`).
"""
