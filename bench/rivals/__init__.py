"""Other programs' designs, written anew as plain scripts, to be measured beside the product in the same run."""
