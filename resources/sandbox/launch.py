# ruff: noqa: PTH101, PTH102, PTH110, PTH112, PTH118, PTH120, PTH123  (pathlib would double its start-up time, which every run pays)
"""The first program inside an isolation: sets limits, adds the system-call filter, becomes the script's interpreter.

It runs with the standard library alone, in the container image, under bubblewrap, under Seatbelt and as a plain
child. It is no boundary by itself: container or operating system are. Its uses:

    python -I -S -B launch.py hold LIMITS                 stay alive as process 1 and reap (container only)
    python -I -S -B launch.py run LIMITS -- program args  apply the limits, then exec the program
    python -I -S -B launch.py unpack FOLDER               write a tar from standard input there (container only)
    python -I -S -B launch.py oom                         how many processes the kernel killed for memory (container)

LIMITS is one word such as filter=1,core=0 with the keys filter, core, fsize, nofile, nproc, cpu_s, data (setrlimit),
exec_system (only programs of the system and of this Python can be started, where the kernel can do that),
oom_first (be the first to go when memory ends), session (own process group), wait (limits and filter applied, wait
for one byte on standard input before the program starts). Imports are few: every run pays for them.
"""

import os
import signal
import struct
import sys

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
_LD_ABS, _JEQ, _JSET, _JGE, _RET, _ALU_AND = 0x20, 0x15, 0x45, 0x35, 0x06, 0x54
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NAMESPACE_FLAGS = 0x7E020080  # CLONE_NEW{USER,PID,NET,IPC,UTS,CGROUP,NS,TIME}
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "arm64": 0xC00000B7}

# name: (x86-64, arm64); None where the architecture has no such call
REFUSED = {
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "_sysctl": (156, None),
    "ustat": (136, None),
    "sysfs": (139, None),
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_SOCKET = (41, 198)
_FAMILIES = (1, 2, 10, 16)  # unix, both internets and netlink live in namespaces; vsock and the kernel's own do not


def filter_program(machine):
    """The BPF program as bytes (8 a instruction) for this machine, or b"" where none is known."""
    arch = _ARCH.get(machine)
    if arch is None:
        return b""
    column = 0 if machine == "x86_64" else 1
    code = []

    def add(op, k, yes=0, no=0):
        code.append(struct.pack("=HBBI", op, yes, no, k))

    add(_LD_ABS, 4)  # architecture
    add(_JEQ, arch, 1, 0)
    add(_RET, _ERRNO | EPERM)  # another architecture's numbers would mean other calls
    add(_LD_ABS, 0)  # call number
    if machine == "x86_64":
        add(_JGE, 0x40000000, 0, 1)  # the x32 numbers
        add(_RET, _ERRNO | EPERM)
    for pair in REFUSED.values():
        if pair[column] is not None:
            add(_JEQ, pair[column], 0, 1)
            add(_RET, _ERRNO | EPERM)
    add(_JEQ, _SOCKET[column], 0, len(_FAMILIES) + 3)
    add(_LD_ABS, 16)
    for number, family in enumerate(_FAMILIES, start=1):
        add(_JEQ, family, len(_FAMILIES) - number, number == len(_FAMILIES))
    add(_RET, _ALLOW)
    add(_RET, _ERRNO | EAFNOSUPPORT)
    add(_JEQ, _CLONE3[column], 0, 1)
    add(_RET, _ERRNO | ENOSYS)  # its flags lie in memory a filter cannot read; libc then uses clone
    add(_JEQ, _CLONE[column], 0, 3)
    add(_LD_ABS, 16)  # low half of the flags
    add(_JSET, _NAMESPACE_FLAGS, 0, 1)
    add(_RET, _ERRNO | EPERM)
    add(_RET, _ALLOW)
    return b"".join(code)


def install_filter():
    """Add the filter to this process for good; unprivileged. Raises OSError when the kernel refuses."""
    import ctypes

    program = filter_program(os.uname().machine)
    if not program:
        raise OSError("no system-call filter is known for " + os.uname().machine)
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    bpf = Program(len(program) // 8, ctypes.addressof(buffer))
    zero = ctypes.c_ulong(0)
    if libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero):  # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(bpf), zero, zero):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp")


def keep_programs_to(folders):
    """Let this process start programs below these folders alone (Landlock, Linux 5.13); False where there is none."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    execute, refer = (
        1,
        1 << 13,
    )  # refer: moving a file to another folder, which every ruleset refuses unless it is named
    version = libc.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    handled = struct.pack("=Q", execute | refer if version >= 2 else execute)
    ruleset = libc.syscall(444, handled, ctypes.c_size_t(len(handled)), ctypes.c_uint(0))
    if ruleset < 0:
        return False
    allowed = [(folder, execute) for folder in sorted({os.path.realpath(folder) for folder in folders})]
    for folder, right in [*allowed, *([("/", refer)] if version >= 2 else [])]:
        if not os.path.isdir(folder):
            continue
        place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        done = libc.syscall(445, ruleset, 1, struct.pack("=Qi", right, place), ctypes.c_uint(0))
        os.close(place)
        if done:
            raise OSError(ctypes.get_errno(), "landlock", folder)
    zero = ctypes.c_ulong(0)
    if libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero) or libc.syscall(446, ruleset, ctypes.c_uint(0)):
        raise OSError(ctypes.get_errno(), "landlock")
    os.close(ruleset)
    return True


def apply(limits):
    """Process group, resource limits, then the filter. A limit below an existing hard limit is left lower."""
    import resource

    if limits.get("session"):
        os.setsid()
    kinds = {
        "core": resource.RLIMIT_CORE,
        "fsize": resource.RLIMIT_FSIZE,
        "nofile": resource.RLIMIT_NOFILE,
        "nproc": resource.RLIMIT_NPROC,
        "cpu_s": resource.RLIMIT_CPU,
        "data": resource.RLIMIT_DATA,
    }
    for name, kind in kinds.items():
        if name in limits:
            hard = resource.getrlimit(kind)[1]
            value = limits[name] if hard == resource.RLIM_INFINITY else min(limits[name], hard)
            resource.setrlimit(kind, (value, value))
    if limits.get("oom_first") and os.path.exists("/proc/self/oom_score_adj"):
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    if limits.get("exec_system") and sys.platform == "linux":
        system = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
        keep_programs_to((*system, sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))))
    if limits.get("filter") and sys.platform == "linux":
        install_filter()


def wait_for_go():
    """Wait until the run is wanted; standard input is empty afterwards. Ends where nobody asks any more."""
    if os.read(0, 1) != b"g":
        os._exit(75)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def hold(limits):
    """Stay as process 1: nothing inside the container can signal it, and it reaps what is orphaned."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    apply(limits)
    while True:
        signal.pause()


def unpack(folder):
    """Write the files and folders of a tar, then say so. The tar comes from the application, not from a script."""
    import shutil
    import tarfile

    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for entry in tar:
            path = os.path.join(folder, entry.name)
            if entry.isdir():
                os.mkdir(path, 0o755)
            else:
                with open(path, "wb") as file:
                    shutil.copyfileobj(tar.extractfile(entry), file)
                os.chmod(path, 0o644)
    os.write(1, b"filled")


def oom_kills():
    """The kernel's own count for this container, from either version of its control groups."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        if os.path.exists(path):
            with open(path) as file:
                counts = dict(line.split() for line in file)
            return int(counts.get("oom_kill", 0))
    return 0


def main(argv):
    """`hold LIMITS`, `run LIMITS -- program args` (these two never return), `unpack FOLDER` or `oom`."""
    if argv[1] == "oom":
        sys.exit(min(oom_kills(), 100))
    if argv[1] == "unpack":
        unpack(argv[2])
        sys.exit()
    limits = {key: int(value) for key, _, value in (pair.partition("=") for pair in argv[2].split(",") if pair)}
    if argv[1] == "hold":
        hold(limits)
    program = argv[argv.index("--") + 1 :]
    apply(limits)
    if limits.get("wait"):
        wait_for_go()
    os.execv(sys.executable if program[0] == "python" else program[0], program)


if __name__ == "__main__":
    main(sys.argv)
