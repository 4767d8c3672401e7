"""Values and errors, independent of protocols and storage."""
