"""Models of how long radios and cards take: pure functions from bytes to seconds, and a link that waits so long."""
