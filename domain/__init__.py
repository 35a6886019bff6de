"""The vocabulary of Omega: frozen values, no input or output, imports nothing of ours."""
