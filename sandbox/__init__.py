"""The outside world on this machine: servers with books of their own and faults on request."""
