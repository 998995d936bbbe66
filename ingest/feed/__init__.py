"""Puts real input in: pictures from folders, videos and network cameras; reads from files.

pictures (folders), video (files, RTSP) → send (frames, reads) → Kafka.
"""
