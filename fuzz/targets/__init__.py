"""Fuzz targets: each module has ``one(data)`` and, as the first line of its text, the invariant that it checks.

``one`` returns for whatever keeps the invariant and raises for what breaks it; it catches documented refusals alone.
"""
