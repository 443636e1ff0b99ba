"""Where numbers come from: code, versions, processor, commit, machine, command."""

from spinsweep.provenance.cpu import processor
from spinsweep.provenance.origin import Origin, OriginRecord, of_worker, other_code, other_processor, other_versions
from spinsweep.provenance.packages import versions
from spinsweep.provenance.run import CodeRecord, MachineRecord, RunRecord, WorkerRecord, changes_in_words, now

# fmt: off
__all__ = [
    "CodeRecord", "MachineRecord", "Origin", "OriginRecord", "RunRecord", "WorkerRecord", "changes_in_words", "now",
    "of_worker", "other_code", "other_processor", "other_versions", "processor", "versions",
]
# fmt: on
