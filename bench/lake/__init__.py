"""A year of reads as a state would have them, and how fast things are found and purged in it."""
