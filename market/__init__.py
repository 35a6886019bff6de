"""From raw market data to features, point in time."""
