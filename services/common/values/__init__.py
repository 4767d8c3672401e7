"""Values and errors that know nothing of where they come from or go to."""
