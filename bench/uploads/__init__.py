"""Files as experts upload them, large or hostile, and the programs that read them."""
