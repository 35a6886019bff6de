"""What models and strategies may know of the market: point-in-time functions over a panel."""
