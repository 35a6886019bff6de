"""The layers of a decision, one rule each: safety, inference, advisor, correlation, sizing."""
