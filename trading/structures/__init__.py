"""Option structures as tables of legs."""
