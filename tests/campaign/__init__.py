"""Hundreds of real faults, at random and reproducible: ``make test-faults``.

Each scenario keeps one cube (or bench) under fire: processes are killed, stopped and told to end, disks fill up,
links are cut. After each fault the command runs again; in the end every number has to be that of an undisturbed
run, and nothing may be left: ``cells`` what is computed, ``hook`` kills at a file operation, ``processes`` starts
and ends, ``reader`` looks at the cube all the time, ``traces`` what must not stay, ``scenarios`` one file each,
``report`` the totals.
"""
