"""What Python has on POSIX and not on Windows, as far as a program of this kind could use it.

From the availability notes of the standard library's documentation (os, signal, socket, select, time).
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODULES = _words("""
    _posixshmem _posixsubprocess crypt curses fcntl grp nis posix pty pwd readline resource spwd syslog termios tty
""")
NAMES = {
    "os": _words("""
        EX_OK MFD_CLOEXEC O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_LARGEFILE O_NDELAY O_NOATIME O_NOCTTY
        O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE PRIO_PROCESS P_ALL RTLD_LAZY SCHED_OTHER WIFSIGNALED WNOHANG
        chown confstr copy_file_range ctermid eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs
        get_blocking getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getresuid getsid getuid
        getxattr initgroups killpg lchown lockf major makedev memfd_create minor mkfifo mknod nice openpty pathconf
        pipe2 posix_fadvise posix_fallocate posix_spawn pread preadv pwrite pwritev register_at_fork
        sched_getaffinity sched_setaffinity sched_yield sendfile set_blocking setegid seteuid setgid setgroups
        setpgid setpriority setregid setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname
        uname wait wait3 wait4 waitid
    """),
    "signal": _words("""
        SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU
        SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIG_BLOCK SIG_SETMASK SIG_UNBLOCK alarm getitimer pause pthread_kill
        pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
    """),
    "socket": _words("""
        AF_UNIX CMSG_LEN MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS SO_PEERCRED SO_REUSEPORT recv_fds send_fds sethostname
    """),
    "select": _words("""
        PIPE_BUF POLLERR POLLHUP POLLIN POLLOUT epoll kqueue poll
    """),
    "time": _words("""
        CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_REALTIME clock_gettime clock_settime tzset
    """),
}
"""By module: names that it lacks there."""
