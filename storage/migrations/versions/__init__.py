"""One module per revision; none is changed once it is released."""
