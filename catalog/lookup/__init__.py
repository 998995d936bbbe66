"""Finding: where was a plate, what passed a place, which plates were at several places.

An index beside the data says on which days a plate was seen; of those days' files the few row
groups that can hold it are read. What the index does not cover yet is read itself, so an answer
is never missing what the table has.
"""
