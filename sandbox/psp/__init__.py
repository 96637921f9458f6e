"""What payment service providers have in common: books, faults, webhooks, customers."""
