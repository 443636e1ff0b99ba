"""The whole network on devices: its weights learned through them, by several rules, or none; see README.md."""
