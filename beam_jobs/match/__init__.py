"""Job `match`: reads against the hot lists in force, hits out."""
