"""What requests and answers look like, checked at the edge."""
