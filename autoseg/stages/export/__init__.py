"""A trained model -> one file that others can use: what goes into it, its card, and its shape for each kind of receiver."""
