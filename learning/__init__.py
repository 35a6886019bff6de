"""How models come to be trusted: labels, splits, measures, training, promotion, feedback."""
