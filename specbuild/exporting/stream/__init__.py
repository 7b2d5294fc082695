"""A model taken apart along time: one frame and the states in, one frame and the states out."""
