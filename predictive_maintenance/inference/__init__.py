"""Score and check files, explain predictions, and analyse what would change them."""
