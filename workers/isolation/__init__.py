"""A child can do only its work: what it may read, write and reach, and how that is enforced.

    policy.py        what one child may touch, made from its claim
    ways.py          which way works on this machine, found by starting a child in it
    bubblewrap.py    way 1: a file system of its own, no network, no other processes
    landlock.py      way 2: rules of the kernel on the process itself, with namespaces.py or without
    seccomp.py       system calls that neither way covers
    confine.py       the program that enters the confinement and becomes the command

`docs/security.md`, section 4, says what each way enforces.
"""
