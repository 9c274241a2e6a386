"""What a payee accepts: the cases of value, by what they try (SPEC §5.3, §5.4, §7, §8)."""
