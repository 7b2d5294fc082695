"""Samples: windows of frames or whole clips, split, sampled, cut into tiles and kept from leaking."""
