"""Hot lists on their way in: the snapshot workers map into memory, and the changes since."""
