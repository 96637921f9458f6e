"""What sagas have done: one folder per port, each activity thin: load, call, translate, save."""
