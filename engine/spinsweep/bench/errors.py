"""The errors of a bench. Every message is one line: what is wrong, where, and what would be right.

BenchError           a bench file, or a bench that cannot do what is needed
├── LimitError       a value beyond a limit: nothing was sent
├── LeaseError       the bench is another's, or is no longer ours                     (also a WorkInterrupted)
├── ConnectionLost   the link is not to be trusted any more: connect again, with the whole handshake  (RunAborted)
├── InstrumentFault  an instrument reported an error or read back something else: stop, repeat nothing (RunAborted)
│   └── InterlockOpen    the interlock is open: a human has to close it
└── DeviceFault      a device under test is open, short or stuck: leave it out, others go on
"""

from __future__ import annotations

from spinsweep.errors import RunAborted, SpinsweepError, WorkInterrupted


class BenchError(SpinsweepError):
    """A bench file is wrong, or the bench cannot do what is needed."""


class LimitError(BenchError):
    """A value beyond a limit of the bench file; nothing was sent."""


class LeaseError(BenchError, WorkInterrupted):
    """Another process owns the bench, or this one does no longer."""


class ConnectionLost(BenchError, RunAborted):
    """A link broke, timed out or answered out of step: nothing on it is to be trusted any more."""


class InstrumentFault(BenchError, RunAborted):
    """An instrument reported an error, or its settings read back otherwise than sent: stop, repeat nothing."""


class InterlockOpen(InstrumentFault):
    """The source's interlock is open, and nothing can flow until a human closes it."""


class DeviceFault(BenchError):
    """A device under test is open, short or stuck; others can go on."""
