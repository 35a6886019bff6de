"""Where market data comes from: one file per source, one contract for all."""
