"""One module for each revision of the store's tables. They import nothing of the package: it changes, they do not."""
