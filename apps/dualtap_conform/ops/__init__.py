"""How our core answers each operation of the vectors."""
