"""What a desk of bots trades, how it gets in and out, and what that costs."""
