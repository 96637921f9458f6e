"""Reading product files and putting what they hold on the shelves."""
