"""What tests a wallet: a simulated world, strategies, checkers, a pytest plugin; for us and for who builds a device."""
