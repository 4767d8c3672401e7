"""The generated files, and what each of them is made from; `make generate` writes them."""
