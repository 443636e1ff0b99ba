"""One run of a sweep into its cube: what is missing, in which blocks, and what came of it.

    with open_run(sweep, "results/x.zarr") as run:
        for task in run.tasks():
            run.note(execute(run.job, task))

``spinsweep.run`` does this with an executor; where the tasks are executed is no concern of this package.
"""

from spinsweep.runs.opening import Run, open_run

__all__ = ["Run", "open_run"]
