"""The lake: tables, landing, images, compaction, look-ups. The only place for pyiceberg."""
