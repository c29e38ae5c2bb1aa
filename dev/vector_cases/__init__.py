"""Cases of the shared test vectors, one module per file of `vectors/`."""
