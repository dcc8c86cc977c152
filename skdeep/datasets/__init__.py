"""Data sets: loaders for the files of the field, and a generator of aerial scenes."""
