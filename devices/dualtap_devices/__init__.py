"""Devices: secure element and store, the driver that runs a tap, and what a watch, card, till and phone are."""
