"""Frame to plate: detector, reader, motion gate, and the vote over the frames of one pass."""
