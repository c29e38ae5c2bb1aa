"""What does exactness cost? Exact arithmetic beside ordinary float32: accuracy, time, equal bits."""
