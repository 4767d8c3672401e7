"""`make doctor`: compare this machine with the requirements of the commands. Needs only the standard library."""
