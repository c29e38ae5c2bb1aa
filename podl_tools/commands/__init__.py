"""Commands of podl, one module per group."""
