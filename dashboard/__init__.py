"""The pages of who maintains machines and models: what runs, whether to trust it, what to do about which machine."""
