"""The issuer: the scheme's signers, and the ledger that keeps every statement, names cheats and credits holders."""
