"""When to enter, and with what: pure functions of a context."""
