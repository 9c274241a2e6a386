"""The vector files, and what writes each: one module a file."""
