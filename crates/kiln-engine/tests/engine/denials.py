"""Attempts to get out of a sandbox: prints `NAME = ANSWER` for each."""

import ctypes
import errno
import os
import platform
import resource
import socket

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NUMBERS = {  # x86_64, aarch64
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "fsopen": (430, 430), "open_tree": (428, 428),
    "unshare": (272, 97), "clone": (56, 220), "clone3": (435, 435), "setns": (308, 268), "sethostname": (170, 161),
    "keyctl": (250, 219), "add_key": (248, 217), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "kexec_load": (246, 104), "init_module": (175, 105),
    "delete_module": (176, 106), "open_by_handle_at": (304, 265), "reboot": (169, 142), "swapon": (167, 224),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "acct": (163, 89), "quotactl": (179, 60),
    "iopl": (172, -1), "syslog": (103, 116), "ptrace": (101, 117),
}
NEWUSER, NEWNS = 0x10000000, 0x00020000


def call(name, *args):
    number = NUMBERS[name][0 if X86 else 1]
    if number < 0:
        raise OSError(errno.EPERM, "no such call on this machine")
    values = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) for a in args]
    result = LIBC.syscall(ctypes.c_long(number), *values)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def in_child(action):
    """Runs an attempt that would change this process; its answer is the child's exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, "in a child")


def read(path):
    with open(path, "rb") as file:
        if not file.read(4096):
            return "empty"


def write(path, text="1"):
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def rewrite(path):
    """Writes what is there already: an attempt that must not harm the host if it succeeds."""
    with open(path) as file:
        text = file.read()
    write(path, text)


def clone_user():
    pid = call("clone", NEWUSER | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def inside(directory):
    """Whether that directory is this sandbox's root."""
    here, root = os.fstat(directory), os.stat("/")
    return "inside" if (here.st_dev, here.st_ino) == (root.st_dev, root.st_ino) else "OUTSIDE"


def leave_chroot():
    outside = os.open("/", os.O_RDONLY)
    os.makedirs("/tmp/jail", exist_ok=True)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.chroot("/tmp/jail")
        os.fchdir(outside)
        for _ in range(64):
            os.chdir("..")
        os.chroot(".")
        answer = "inside" if os.path.exists("/denials.py") and not os.path.exists(os.environ["HOST_DIR"]) else "OUTSIDE"
        os.write(writer, answer.encode())
        os._exit(0)
    os.wait()
    return os.read(reader, 16).decode()


def leave_by_descriptor():
    directory = os.open("/proc/self/root", os.O_PATH)
    for _ in range(64):
        directory = os.open("..", os.O_PATH, dir_fd=directory)
    return inside(directory)


def leaked():
    extra = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
    # One is the directory's own, which is closed by now.
    extra = [fd for fd in extra if os.path.lexists(f"/proc/self/fd/{fd}")]
    return ",".join(extra) or "none"


def connect(address, port):
    with socket.socket() as connection:
        connection.settimeout(3)
        connection.connect((address, port))



HOST_PID = int(os.environ["HOST_PID"])
AFFINITY = "/proc/irq/default_smp_affinity"
CGROUP = "/sys/fs/cgroup/memory" if os.path.isdir("/sys/fs/cgroup/memory") else "/sys/fs/cgroup"
LIMIT = "memory.limit_in_bytes" if os.path.isdir("/sys/fs/cgroup/memory") else "memory.max"

ATTEMPTS = {
    # First, since other attempts leave descriptors open.
    "find a leaked descriptor": leaked,
    "read the kernel log device": lambda: os.open("/dev/kmsg", os.O_RDONLY),
    "read the kernel log": lambda: call("syslog", 3, b"\0" * 64, 64),
    "make a block device": lambda: os.mknod("/tmp/disk", 0o60600, int(os.environ["ROOT_DEVICE"])),
    "make a character device": lambda: os.mknod("/tmp/mem", 0o20600, os.makedev(1, 1)),
    "open a raw disk": lambda: [os.open(f"/dev/{name}", os.O_RDONLY) for name in ("vda", "sda", "nvme0n1", "dm-0", "loop0")],
    "open kernel memory": lambda: os.open("/dev/mem", os.O_RDONLY),
    "open loop control": lambda: os.open("/dev/loop-control", os.O_RDWR),
    "mount a tmpfs": lambda: call("mount", b"t", b"/mnt", b"tmpfs", 0, 0),
    "mount a disk": lambda: call("mount", b"/dev/vda", b"/mnt", b"ext4", 1, 0),
    "remount the root writable": lambda: call("mount", b"none", b"/", b"", 0x1020 | 4, 0),
    "unmount a mask": lambda: call("umount2", b"/proc/kcore", 0),
    "fsopen": lambda: call("fsopen", b"tmpfs", 0),
    "open_tree": lambda: call("open_tree", -100, b"/", 1),
    "pivot_root": lambda: call("pivot_root", b"/", b"/"),
    "new user namespace": lambda: in_child(lambda: call("unshare", NEWUSER)),
    "clone into a user namespace": clone_user,
    "clone3": lambda: call("clone3", 0, 88),
    "setns into the first process": lambda: in_child(lambda: call("setns", os.open("/proc/1/ns/uts", os.O_RDONLY), 0)),
    "sethostname": lambda: call("sethostname", b"evil", 4),
    "keyctl": lambda: call("keyctl", 0, -3, 1),
    "add_key": lambda: call("add_key", b"user", b"kiln-test", b"x", 1, -3),
    "bpf": lambda: call("bpf", 0, 0, 0),
    "perf_event_open": lambda: call("perf_event_open", 0, 0, -1, -1, 0),
    "userfaultfd": lambda: call("userfaultfd", 0),
    "io_uring_setup": lambda: call("io_uring_setup", 1, 0),
    "kexec_load": lambda: call("kexec_load", 0, 0, 0, 0),
    "init_module": lambda: call("init_module", b"", 0, b""),
    "delete_module": lambda: call("delete_module", b"no-such-module", 0),
    "open_by_handle_at": lambda: call("open_by_handle_at", -100, b"\x08\0\0\0\x01\0\0\0" + b"\0" * 8, 0),
    "reboot": lambda: call("reboot", 0, 0, 0),
    "swapon": lambda: call("swapon", b"/tmp", 0),
    "settimeofday": lambda: call("settimeofday", 0, b"\0" * 16),
    "clock_settime": lambda: call("clock_settime", 0, b"\0" * 16),
    "acct": lambda: call("acct", b"/tmp/acct"),
    "quotactl": lambda: call("quotactl", 0, b"/dev/vda", 0, 0),
    "iopl": lambda: call("iopl", 3),
    "AF_ALG socket": lambda: socket.socket(38, socket.SOCK_SEQPACKET),
    "AF_VSOCK socket": lambda: socket.socket(40, socket.SOCK_STREAM),
    "write core_pattern": lambda: rewrite("/proc/sys/kernel/core_pattern"),
    "write a sysctl of the host": lambda: rewrite("/proc/sys/vm/swappiness"),
    "write sysrq-trigger": lambda: write("/proc/sysrq-trigger", "h"),
    "write an interrupt's affinity": lambda: rewrite(AFFINITY),
    "write to sysfs": lambda: rewrite("/sys/kernel/mm/transparent_hugepage/use_zero_page"),
    "write a release agent": lambda: rewrite(f"{CGROUP}/release_agent"),
    "write a memory limit": lambda: rewrite(f"{CGROUP}/{LIMIT}"),
    "read kcore": lambda: read("/proc/kcore"),
    "read kernel keys": lambda: read("/proc/keys"),
    "read timer_list": lambda: read("/proc/timer_list"),
    "list firmware": lambda: None if os.listdir("/sys/firmware") else "empty",
    "trace a process of the host": lambda: call("ptrace", 16, HOST_PID, 0, 0),
    "kill a process of the host": lambda: os.kill(HOST_PID, 0),
    "see a process of the host": lambda: os.stat(f"/proc/{HOST_PID}"),
    "read the host's shadow file": lambda: read("/etc/shadow"),
    "read this machine's disk of the build": lambda: os.stat(os.environ["DISK"]),
    "read another directory of the host": lambda: os.stat(os.environ["HOST_DIR"]),
    "open the registry of sandboxes": lambda: os.stat("/run/kiln"),
    "open a container engine's socket": lambda: os.stat("/run/docker.sock"),
    "leave a chroot": leave_chroot,
    "leave through a descriptor": leave_by_descriptor,
    "use an id that is not mapped": lambda: os.chown("/tmp", 70000, 70000),
    "raise a hard limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
    "raise the priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
    "lower the oom score": lambda: write("/proc/self/oom_score_adj", "-900"),
    "write through a read-only volume": lambda: os.open("/denials.py", os.O_WRONLY),
    "reach the host's loopback": lambda: connect("127.0.0.1", int(os.environ["HOST_PORT"])),
    "reach the metadata address": lambda: connect("169.254.169.254", 80),
}

for name, attempt in ATTEMPTS.items():
    try:
        answer = attempt()
        answer = answer if isinstance(answer, str) else "ok"
    except OSError as error:
        answer = errno.errorcode.get(error.errno, str(error))
    except ValueError:
        # How the resource module words EPERM.
        answer = "EPERM"
    print(f"{name} = {answer}", flush=True)
