"""The composition root: which process serves which task queue, and with what."""
