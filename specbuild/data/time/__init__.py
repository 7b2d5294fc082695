"""Time: when frames were taken, at which phase of a cycle, and for when a forecast is."""
