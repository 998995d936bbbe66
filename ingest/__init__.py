"""The way in: topics and codecs, producers, hot lists, simulator, feeds."""
