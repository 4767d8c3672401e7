"""The output of a command as a picture that plays."""
