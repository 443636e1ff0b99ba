"""The one error of the emulator; its message is one line."""


class EmulatorError(Exception):
    """A description, fault or request that cannot be, or an address that cannot be served."""
