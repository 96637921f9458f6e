"""Risk: facts from the books and from recent traffic, scored by the domain."""
