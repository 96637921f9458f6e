"""Payments: attempts at PSPs, capture, and giving money back."""
