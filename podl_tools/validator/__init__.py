"""podl-validator: measures the candidates a node asks about, and reports what it found."""
