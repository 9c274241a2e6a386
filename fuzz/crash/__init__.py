"""States in which a power cut may leave the ledger's file, and whether production code comes back from each."""
