"""The law, applied: vectors for every implementation, and a tester that drives any device over any transport."""
