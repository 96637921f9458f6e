"""Orders: opened at checked prices, confirmed, or ended with a reason."""
