"""Metrics of prometheus_client, written to multiprom's native files.

Import this module and call install() before the first metric is made:

    import multiprom_client
    multiprom_client.install()

Metrics are then made and updated as always. If PROMETHEUS_MULTIPROC_DIR is set, each process
keeps its values in a file of its own in that directory, which `mpctl serve` merges with those
of all other processes. A line "import multiprom_client" in a .pth file or in sitecustomize.py
does the same for programs that must not change; it acts if PROMETHEUS_MULTIPROC_FORMAT=mpm.

docs/format.md of multiprom specifies the file; names in capitals below are its offsets. The
module needs Linux, CPython 3.9 or later, and nothing outside the standard library.

How it stays correct:
  1. One lock guards every update, since an update reads a word, adds, and stores it. Nothing relies
     on the interpreter's own lock, which free-threaded builds do not have. It is a lock of _thread
     also where gevent has replaced those of threading: it is fast, works between real threads,
     and greenlets of one thread share it, as a signal handler does with what it interrupts.
  2. A word is stored only through a memoryview of format "Q" or "d", which is one store of
     8 bytes. struct.pack_into stores a 0 first, and readers would see it.
  3. A fork wipes _alive. The child notices before it touches a word, drops what it inherited,
     and makes a file of its own at its first update.
  4. A file is opened by the first update. Declaring a metric does no I/O.
  5. A signal handler may run between two steps of its own thread. What it changes or updates while
     _busy is set waits in _pending until that change is complete. An update by itself need not set
     _busy, since CPython 3.11 and later run handlers only at calls and jumps back, and an update has
     neither between its load and its store. Before 3.11 each update is a change.
"""
import _thread
import atexit
import bisect
import collections
import errno
import importlib.util
import math
import mmap
import os
import platform
import stat
import struct
import sys
import threading
import time
import weakref

try:
    import fcntl
except ImportError:
    fcntl = None  # not Linux: install() does nothing

__all__ = ["install", "publish"]

# The layout of docs/format.md. Offsets of mutable words are in words, others in bytes.
MAGIC = b"\x89MPM\r\n\x1a\n"
BLOCK, BLOCK_WORDS, HEADER, BLOCK_HEADER = 65536, 8192, 512, 64
BLOCKS, GENERATION, INVALID, OVERFLOW, FALLBACK = 32, 33, 36, 37, 38
FEATURES, LEASE, RESETS = 41, 42, 44
USED, GEN, SHAPE = 1, 2, 3  # in a block header
META, CELLS = 1, 2
FAMILY, SERIES, EXEMPLAR = 1, 2, 3
LIVE, REMOVED, FREE = 1, 2, 3
COUNTER, GAUGE, HISTOGRAM, SUMMARY, INFO, STATESET = 1, 2, 3, 4, 5, 6
MODES = ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent")
_CUMULATIVE = (COUNTER, HISTOGRAM, SUMMARY)
UNSET = 0x7FF86D756E736574
LOCK_BYTE = 1 << 62

MAX_BYTES = 1 << 30
MAX_NAME, MAX_HELP, MAX_VALUE, MAX_LABELS, MAX_BOUNDS, MAX_STATES = 1024, 8192, 4096, 64, 4096, 256

_LOOK_EVERY = 60.0  # seconds between two looks whether the file was deleted
_OVERFLOW_VALUE = "__overflow__"

# What ProcessCollector yields. mpctl serve reads these numbers of living workers itself.
_PROCESS_FAMILIES = frozenset("process_" + name for name in (
    "virtual_memory_bytes", "resident_memory_bytes", "start_time_seconds", "cpu_seconds", "open_fds", "max_fds"))

# Filesystems whose locks every process sees, as internal/mpm has them, with their numbers of statfs(2).
_TRUSTED = {"tmpfs": 0x01021994, "ext2": 0xEF53, "ext3": 0xEF53, "ext4": 0xEF53, "xfs": 0x58465342, "btrfs": 0x9123683E,
            "f2fs": 0xF2F52010, "overlay": 0x794C7630, "zfs": 0x2FC12FC1, "ramfs": 0x858458F6}
_NO_LOCKS = (errno.ENOSYS, errno.EINVAL, errno.EPERM)
_WEAK = platform.machine().lower() not in ("x86_64", "amd64", "i386", "i486", "i586", "i686")
_TRACKFD = {"trackfd": False} if sys.version_info >= (3, 13) else {}
_FLOCK = struct.Struct("@hhqqi0q")


# ---- this process ----

class _Alive:
    """Stands in for a page that a fork wipes, on kernels without MADV_WIPEONFORK."""

    def __init__(self):
        self.pid = 0

    def __getitem__(self, _):
        return self.pid == os.getpid()

    def __setitem__(self, _, on):
        self.pid = os.getpid() if on else 0


def _wiped_page():
    """A word that is 0 in every forked child, also of a fork that Python does not see."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(18)  # MADV_WIPEONFORK
        return memoryview(page).cast("Q")
    except (OSError, AttributeError):
        return _Alive()


_alive = _wiped_page()  # [0] is 1 while all series of this process are in _store
_store = None  # the file, or None if the values stay in this process
_owner = 0  # pid of the process that _store belongs to; 0 before the first update
_busy = False  # the file is being changed, by the thread that has the lock
_pending = []  # changes and updates that wait for that one to end
_forks = 0  # how many there were between the first process and this one
_series = {}  # weak references to all series, by number
_numbers = 0
_families = {}  # by their content
_parents = weakref.WeakSet()  # prometheus_client's metrics, but for those of label values
_told = set()  # keys of the lines that the log has

_settings = {"process_id": None, "keep_removed": 120.0, "period": 10.0, "from": ""}


def _unlock():
    """Releases the lock after an exception, which may have come before it was taken."""
    if _lock._is_owned():
        _release()


class _Held:
    """The lock in a with statement. CPython 3.14 runs signal handlers between the __enter__ of a lock and the
    block, so an exception of theirs would leave it locked."""

    def __enter__(self):
        try:
            _acquire()
        except BaseException:
            _unlock()
            raise


_held = _Held()


def _make_locks():
    global _lock, _acquire, _release, _fence_lock
    _lock, _fence_lock = _thread.RLock(), _thread.RLock()
    _acquire, _release = _lock.acquire, _lock.release
    _Held.__exit__ = _lock.__exit__


_make_locks()


def _of_handler(e):
    """Whether a signal handler has raised e, which is the program's then and goes to it."""
    tb = e.__traceback__
    while tb.tb_next is not None:
        tb = tb.tb_next
    return tb.tb_frame.f_globals is not globals()


def _fence():
    """Orders the stores before it and those after it. Processors that are not _WEAK do it themselves."""
    for _ in range(2):
        try:
            _fence_lock.acquire()
        finally:  # also if a signal handler raises an exception
            if _fence_lock._is_owned():
                _fence_lock.release()


def _say(key, text, *args):
    """Writes one line to the log, once for each key. The lock may be held, so a thread does it: a
    handler of the log may wait for somebody who waits for the lock."""
    if key in _told:
        return
    _told.add(key)
    try:
        threading.Thread(target=_log, args=(text,) + args, name="multiprom_client log").start()
    except RuntimeError:  # no more threads, or the interpreter ends
        os.write(2, ("multiprom_client: " + text % args + "\n").encode("utf-8", "replace"))


def _log(*line):
    import logging
    logging.getLogger("multiprom_client").error(*line)


def _change(what, *args):
    """Runs a change of the file. One that a signal handler makes within another waits for it.
    The lock is held."""
    global _busy
    _pending.append((what, args))
    forks = _forks
    while _pending and not _busy:  # a handler may add one right before _busy is False
        _busy = True
        try:
            while _pending:
                what, args = _pending.pop(0)
                what(*args)
        except Exception:
            if forks == _forks:
                raise
            return  # a signal handler has forked, and this is the child, which has no file yet
        finally:
            _busy = False


def _directory():
    name = os.environ.get("PROMETHEUS_MULTIPROC_DIR") or os.environ.get("prometheus_multiproc_dir")
    return name and os.path.join(_settings["from"], name)


def _wake(updated):
    """Makes this process's file and puts all series in it. updated is about to be updated.
    The lock is held."""
    _forget_parent()
    _change(_open)
    if updated.q is None:
        updated.enter()  # a signal handler had made it, and forked
    _publisher.start()


def _open():
    global _owner
    _owner = os.getpid()
    if _store is None:  # it is not if a signal handler has raised an exception amid this
        _open_store()
    number = 0
    while number < _numbers:  # a signal handler may make more
        ref = _series.get(number)
        series = ref and ref()
        if series is not None:
            series.enter()
        number += 1
    _alive[0] = 1


def _open_store():
    directory = _directory()
    if not directory:
        return
    try:
        _Store(directory)
    except Exception as e:
        if _of_handler(e):
            raise
        _say("open", "metrics stay in this process: no file in %s: %s", directory, e)


def _forget_parent():
    """Drops the file of the process that forked this one. The lock is held."""
    global _store, _owner
    if _owner == 0 or _owner == os.getpid():
        return
    store, _store, _owner = _store, None, 0
    _told.clear()
    _pending.clear()
    for ref in list(_series.values()):
        series = ref()
        if series is not None:
            series.leave()
    if store is not None:
        store.abandon()
    _dropped.clear()
    for family in _families.values():
        family.id = family.record = None
        family.orphans.clear()
    _publisher.forget_parent()


def _before_fork():
    _acquire()


def _after_fork_in_parent():
    _release()


def _after_fork_in_child():
    """Lets go of the parent's file, whose lock would say for ever that the parent lives. The lock is
    this thread's, and more than once if a signal handler forks."""
    global _busy, _forks
    _busy = False
    _forks += 1
    _alive[0] = 0
    _free_locks()
    try:
        _forget_parent()
    finally:
        _release()


def _free_locks():
    """Frees the locks of prometheus_client, which does not mind a fork: another thread may have been
    making a series. If a signal handler has forked amid a call of it, this thread may have them."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("prometheus_client."):
            return
        frame = frame.f_back
    for held in list(_parents) + [sys.modules["prometheus_client.registry"].REGISTRY]:
        reinit = getattr(getattr(held, "_lock", None), "_at_fork_reinit", None)
        if reinit is not None:  # gevent's locks have none
            reinit()


def _after_other_fork():
    """The same after a fork without _before_fork: another thread may have had the lock."""
    _make_locks()
    _acquire()
    _after_fork_in_child()


# ---- checksums and strings ----

def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_CRC = _crc_table()


def _crc(*parts):
    """CRC-32C."""
    crc, table = 0xFFFFFFFF, _CRC
    for part in parts:
        for b in part:
            crc = table[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _utf8(text):
    return str(text).encode("utf-8", "replace")


def _cut(text, most):
    """The text in UTF-8, at most that many bytes of it."""
    raw = _utf8(text)
    return raw if len(raw) <= most else raw[:most].decode("utf-8", "ignore").encode()


def _strings(raws):
    return b"".join(struct.pack("<H", len(r)) + r for r in raws)


def _pad(raw):
    return raw + bytes(-len(raw) % 8)


def _sealed(kind, body, immutable, until=None):
    """A live record. immutable is where the checksum starts in the body, until where it ends."""
    body = _pad(body)
    head = struct.pack("<IHH", 16 + len(body), kind, 0)
    return head + struct.pack("<II", _crc(head, body[immutable:until]), LIVE) + body


def _nanos(seconds):
    return max(1, min(int(seconds * 1e9), (1 << 63) - 1))


# ---- free space ----

class _Space:
    """Published words that belong to nothing. Neighbours are one stretch."""

    def __init__(self):
        self.length = {}  # of each stretch, by its first word
        self._derive()

    def _derive(self):
        """Makes all that follows from length."""
        self.first = {at + n: at for at, n in self.length.items()}  # of each stretch, by the word after it
        self.by_length = {}  # first words, by length
        for at, n in self.length.items():
            self.by_length.setdefault(n, set()).add(at)
        self.lengths = sorted(self.by_length)  # that there are, ascending
        self.changes = False

    def _begin(self):
        """A signal handler may raise an exception amid a change. Then a stretch may be lost, until the
        process ends, but none is there twice."""
        if self.changes:
            self._derive()
        self.changes = True

    def add(self, at, n):
        self._begin()
        before = self.first.get(at)
        if before is not None:
            self._drop(before)
            at, n = before, n + at - before
        after = self.length.get(at + n)
        if after is not None:
            self._drop(at + n)
            n += after
        self.length[at], self.first[at + n] = n, at
        if n not in self.by_length:
            self.by_length[n] = set()
            bisect.insort(self.lengths, n)
        self.by_length[n].add(at)
        self.changes = False

    def _drop(self, at):
        n = self.length.pop(at)
        del self.first[at + n]
        same = self.by_length[n]
        same.discard(at)
        if not same:
            del self.by_length[n]
            del self.lengths[bisect.bisect_left(self.lengths, n)]

    def take(self, n, odd=True):
        """The shortest stretch of at least n words, as a whole, or None. Without odd, one of n + 1
        words will not do, because 8 bytes are too short for a record."""
        self._begin()
        i = bisect.bisect_left(self.lengths, n)
        if i < len(self.lengths) and self.lengths[i] == n + 1 and not odd:
            i += 1
        taken = None
        if i < len(self.lengths):
            length = self.lengths[i]
            at = next(iter(self.by_length[length]))
            self._drop(at)
            taken = at, length
        self.changes = False
        return taken


# ---- the file ----

class _Full(Exception):
    """There is no space for a block."""


class _Extent:
    """One mapping of the file. It never moves."""

    def __init__(self, fd, start, length):
        self.start = start >> 3  # number of the first word
        self.map = mmap.mmap(fd, length, offset=start, **_TRACKFD)
        self.bytes = memoryview(self.map)
        self.q, self.d = self.bytes.cast("Q"), self.bytes.cast("d")

    def close(self):
        for view in (self.q, self.d, self.bytes):
            view.release()
        self.map.close()

    def let_go(self):
        """Puts memory in the place of the mapping, which cannot be closed but keeps the lock."""
        import ctypes
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
        libc.mmap(start, len(self.map), mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10, -1, 0)  # MAP_FIXED


_lost = []  # mappings whose descriptors' numbers may be other files', so nothing may close them


class _Store:
    """This process's file: its blocks, records and words. The lock is held in all methods."""

    def __init__(self, directory):
        """Makes the file, and itself the store of the process."""
        global _store
        self.extents = []
        self.blocks = 0
        self.fd = -1
        self.families = 0
        self.newest = 0  # created time of the newest series
        self.free_meta, self.free_cells = _Space(), _Space()
        self.removed = collections.deque()  # series whose handles are gone, in that order
        self.lease = _settings["keep_removed"]
        self.looked = time.monotonic()
        self.mode = _file_mode()
        dirfd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for _ in range(8):
                try:
                    self._create(directory, dirfd)
                    _store = self
                    return
                except (FileExistsError, FileNotFoundError, BlockingIOError) as e:
                    if _of_handler(e):
                        raise
                    # else the temporary file was swept: begin again with another name
            raise OSError("temporary files vanish as soon as they are made")
        finally:
            os.close(dirfd)

    # -- birth: docs/format.md, "A file appears complete"

    def _create(self, directory, dirfd):
        pid, incarnation = os.getpid(), os.urandom(16)
        self.name = "%d-%s.mpm" % (pid, incarnation.hex())
        self.path = os.path.join(os.path.abspath(directory), self.name)
        temporary = ".%d-%s.tmp" % (pid, incarnation.hex())
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.extents, self.blocks, self.identity = [], 0, None
        self.fd = os.open(temporary, flags, 0o600, dir_fd=dirfd)
        try:
            info = os.fstat(self.fd)
            self.identity = info.st_dev, info.st_ino
            locked = _take_lock(self.fd)
            if stat.S_IMODE(info.st_mode) != self.mode:
                os.fchmod(self.fd, self.mode)
            self._extend()
            liveness = 1 if locked and _sees_lock(temporary, dirfd, self.fd) else 0
            header = self._format(pid, incarnation, liveness)
            _sees_stores(temporary, dirfd, header)
            _appear(temporary, self.name, dirfd)
        except BaseException as e:
            try:
                os.unlink(temporary, dir_fd=dirfd)
            except OSError:
                pass
            self.abandon()
            if isinstance(e, _Full):
                raise OSError(errno.ENOSPC, str(e)) from None
            raise

    def _format(self, pid, incarnation, liveness):
        label = _cut(_process_id() or pid, 128) or b"%d" % pid
        raw = bytearray(HEADER)
        struct.pack_into("<8sIIII16sqQQ16sQII128s", raw, 0, MAGIC, 1, 0x0A0B0C0D, HEADER, BLOCK, incarnation, time.time_ns(),
                         pid, _start_time(), _boot_id(), _pid_namespace(), liveness, len(label), label)
        struct.pack_into("<I", raw, 252, _crc(raw[:252]))
        struct.pack_into("<Q", raw, 8 * FEATURES, 1)
        struct.pack_into("<Q", raw, 8 * LEASE, int(self.lease * 1e9))
        self.extents[0].bytes[:HEADER] = raw
        self.meta = self._start_block(0, META)  # [block, offset in it of the next record]
        self.cells = None
        self.put(BLOCKS, 1)
        self.blocks = 1
        return bytes(self.extents[0].bytes[:256])

    # -- growth

    def _extend(self):
        """Allocates and maps one more block, which is zero, and returns its number."""
        n = self.blocks
        start, number = n * BLOCK, n.bit_length()
        end = (1 << number) * BLOCK if number else BLOCK  # of the extent
        if start >= MAX_BYTES:
            raise _Full("the file has reached its limit of %d bytes" % MAX_BYTES)
        try:
            self._own_descriptor()
            if os.fstat(self.fd).st_size < end:
                os.ftruncate(self.fd, end)  # takes no space; mmap wants the bytes to exist
            _allocate(self.fd, start, BLOCK)
            if number == len(self.extents):
                first = end >> 1 if number else 0
                self.extents.append(_Extent(self.fd, first, end - first))
        except (OSError, ValueError) as e:
            if _of_handler(e):
                raise
            try:
                os.ftruncate(self.fd, start)  # ext4 keeps the blocks of a failed allocation
            except OSError:
                pass
            raise _Full(str(e))
        return n

    def _own_descriptor(self):
        """A program may close all descriptors, as daemons do, and the number may be another file's."""
        if not self._owns_descriptor():
            fd = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            info = os.fstat(fd)
            if (info.st_dev, info.st_ino) != self.identity:
                os.close(fd)
                raise OSError("another file has the name of ours")
            self.fd = fd

    def _owns_descriptor(self):
        try:
            info = os.fstat(self.fd)
        except OSError:
            return False
        return (info.st_dev, info.st_ino) == self.identity

    def _start_block(self, n, kind):
        start = n * BLOCK + (HEADER if n == 0 else 0)
        self.put(start >> 3, kind | n << 32)
        used = start + BLOCK_HEADER - n * BLOCK
        self.put((start >> 3) + USED, used)
        return [n, used]

    def _new_block(self, cursor, kind):
        n = self._extend()
        if cursor is not None:
            self._finish_block(cursor, kind)
        cursor = self._start_block(n, kind)
        self.blocks = n + 1
        self.put(BLOCKS, self.blocks)
        return cursor

    def _finish_block(self, cursor, kind):
        """Makes the unused end of a block free space."""
        n, used = cursor
        at, rest = (n * BLOCK + used) >> 3, BLOCK - used
        if kind == CELLS and rest > 0:
            self._publish(cursor, BLOCK)
            self.free_cells.add(at, rest >> 3)
        elif kind == META and rest >= 16:
            self.put(at + 1, FREE << 32)
            self.put(at, rest | SERIES << 32)
            self._publish(cursor, BLOCK)
            self.free_meta.add(at, rest >> 3)

    def _publish(self, cursor, used):
        cursor[1] = used
        self.put(self._block_header(cursor[0]) + USED, used)

    @staticmethod
    def _block_header(n):
        return n * BLOCK_WORDS if n else HEADER >> 3

    # -- words

    def views(self, at):
        """The words of the extent that has word number at, as integers and as floats, and its index there."""
        e = self.extents[(at >> 13).bit_length()]
        return e.q, e.d, at - e.start

    def put(self, at, value):
        q, _, i = self.views(at)
        if _WEAK:
            _fence()
        q[i] = value

    def get(self, at):
        q, _, i = self.views(at)
        return q[i]

    def count(self, word, n=1):
        """Adds to a counter of the file's header."""
        self.extents[0].q[word] += n

    def _changed(self, at):
        header = self._block_header(at // BLOCK_WORDS) + GEN
        self.put(header, self.get(header) + 1)
        self.put(GENERATION, self.get(GENERATION) + 1)

    def _begin(self, word):
        """Makes shape or resets odd. It is already if a signal handler has raised an exception amid a change."""
        self.put(word, self.get(word) + 1 | 1)
        if word != RESETS:
            self.put(GENERATION, self.get(GENERATION) + 1)

    def _end(self, word):
        self.put(word, self.get(word) + 1)
        if word != RESETS:
            self.put(GENERATION, self.get(GENERATION) + 1)

    # -- records

    def add_record(self, record, odd, owner):
        """Publishes a record in free space or after the others. Its owner's record and size are set then, in
        words. No signal handler runs between the store that publishes it and that: there is no call."""
        stretch = self._reclaim(self.free_meta, len(record) >> 3, odd)
        if stretch is not None:
            self._fill(stretch[0], stretch[1], record, owner)
            return
        if BLOCK - self.meta[1] < len(record):
            self.meta = self._new_block(self.meta, META)
        n, used = self.meta
        at = (n * BLOCK + used) >> 3
        e = self.extents[n.bit_length()]
        start = 8 * (at - e.start)
        e.bytes[start:start + len(record)] = record
        used += len(record)
        q, _, i = self.views(self._block_header(n) + USED)
        if _WEAK:
            _fence()
        size = len(record) >> 3
        self.meta[1] = q[i] = used
        owner.record, owner.size = at, size

    def _fill(self, at, length, record, owner):
        """docs/format.md, "Publication", 5."""
        if 8 * length - len(record) == 8:
            record = _longer(record)
        n = len(record) >> 3
        words = struct.unpack("<%dQ" % n, record)
        moves = self.get(at) != len(record) | SERIES << 32
        shape = self._block_header(at // BLOCK_WORDS) + SHAPE
        if moves:
            self._begin(shape)
            self.put(at, 8 * length | SERIES << 32)
            if length > n:
                self.put(at + n + 1, FREE << 32)
                self.put(at + n, 8 * (length - n) | SERIES << 32)
        for i in range(2, n):
            self.put(at + i, words[i])
        if self.get(at) != words[0]:
            self.put(at, words[0])
        if moves:
            self._end(shape)
        q, _, i = self.views(at + 1)
        if _WEAK:
            _fence()
        q[i] = words[1]  # checksum and state
        owner.record, owner.size = at, n
        self._changed(at)
        if length > n:
            self.free_meta.add(at + n, length - n)

    def add_cells(self, n):
        """Words of a new series, which are zero, or 0 for none."""
        if n == 0:
            return 0
        stretch = self._reclaim(self.free_cells, n)
        if stretch is not None:
            at, length = stretch
            if length > n:
                self.free_cells.add(at + n, length - n)
            for i in range(n):
                self.put(at + i, 0)
            return at
        if self.cells is None or BLOCK - self.cells[1] < 8 * n:
            self.cells = self._new_block(self.cells, CELLS)
        block, used = self.cells
        self._publish(self.cells, used + 8 * n)
        return (block * BLOCK + used) >> 3

    def new_created(self):
        self.newest = max(time.time_ns(), self.newest + 1)
        return self.newest

    def remove(self, place):
        """docs/format.md, "Publication", 3."""
        self.put(place.record + 3, max(time.time_ns(), self.get(place.record + 2)))
        self._put_state(place.record, REMOVED)
        self._changed(place.record)
        place.removed = time.monotonic()

    def _put_state(self, at, state):
        self.put(at + 1, self.get(at + 1) & 0xFFFFFFFF | state << 32)

    def restart(self, place, store_words):
        """docs/format.md, "Publication", 6."""
        self._begin(RESETS)
        self.put(place.record + 2, self.new_created())
        store_words()
        self._clear_exemplars(place)
        self._changed(place.record)
        self._end(RESETS)

    @staticmethod
    def _clear_exemplars(place):
        for exemplar in place.all_exemplars():
            exemplar.store(0, 0.0, b"")

    def _reclaim(self, space, n, odd=True):
        """Takes free space, for which it makes removed series free if that is needed."""
        stretch = space.take(n, odd)
        for _ in range(256):
            if stretch is not None or not self.removed:
                break
            if time.monotonic() - self.removed[0].removed < self.lease:
                break
            self._make_free(self.removed.popleft())
            stretch = space.take(n, odd)
        return stretch

    def _make_free(self, place):
        """docs/format.md, "Publication", 4."""
        self._put_state(place.record, FREE)
        self._changed(place.record)
        for exemplar in place.all_exemplars():
            exemplar.store(0, 0.0, b"")
            self._put_state(exemplar.record, FREE)
            size = 8 * exemplar.size
            self.put(exemplar.record, size | SERIES << 32)
            self._changed(exemplar.record)
            self.free_meta.add(exemplar.record, exemplar.size)
        self.free_meta.add(place.record, place.size)
        if place.words:
            self.free_cells.add(place.cells, place.words)

    # -- the file itself

    def look(self):
        """Notices, now and then, that the file was deleted."""
        now = time.monotonic()
        if now - self.looked >= _LOOK_EVERY:
            self.looked = now
            if self._owns_descriptor() and os.fstat(self.fd).st_nlink == 0:
                _say("deleted", "the file %s was deleted: no reader sees the metrics of this process", self.path)

    def abandon(self):
        """Drops the file without a change of it, and all that keeps its lock."""
        if self.identity is None or self._owns_descriptor():
            os.close(self.fd)
            lost = False
        else:
            # The program has closed our descriptor, and perhaps those that the mappings have, whose numbers
            # may be other files' now. Closing a mapping would close its number.
            mine = self._descriptors()
            lost = not _TRACKFD and len(mine) < len(self.extents)
            for fd in mine if lost else ():
                os.close(fd)
        self.fd = -1
        for extent in self.extents:
            try:
                if lost:
                    raise BufferError
                extent.close()
            except BufferError:  # also of an update that a signal handler interrupted by a fork
                extent.let_go()
                _lost.append(extent)
        self.extents = []

    def _descriptors(self):
        """The numbers of all descriptors of the file."""
        try:
            names = os.listdir("/proc/self/fd")
        except OSError:  # without /proc
            names = range(min(os.sysconf("SC_OPEN_MAX"), 65536))
        found = []
        for name in names:
            try:
                info = os.fstat(int(name))
            except OSError:
                continue
            if (info.st_dev, info.st_ino) == self.identity:
                found.append(int(name))
        return found


def _longer(record):
    """A series record with 8 more bytes, which are padding."""
    body = record[16:] + bytes(8)
    return _sealed(SERIES, body, 20)


def _take_lock(fd):
    try:
        fcntl.fcntl(fd, 37, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE, 1, 0))  # F_OFD_SETLK
        return True
    except OSError as e:
        if e.errno in _NO_LOCKS:
            return False
        raise BlockingIOError(e.errno, "the lock is taken") if e.errno in (errno.EAGAIN, errno.EACCES) else e


def _sees_lock(name, dirfd, fd):
    """Whether a process that opens the file by its name sees the lock, as readers do."""
    if not _trusts(fd):
        return False
    other = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
    try:
        answer = fcntl.fcntl(other, 36, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE, 1, 0))  # F_OFD_GETLK
        return _FLOCK.unpack(answer)[0] != fcntl.F_UNLCK
    except OSError as e:
        if _of_handler(e):
            raise
        return False
    finally:
        os.close(other)


def _trusts(fd):
    """Whether the filesystem of fd is one of _TRUSTED."""
    try:
        with open("/proc/self/fdinfo/%d" % fd) as f:
            mount = next(line.split()[1] for line in f if line.startswith("mnt_id:"))
        with open("/proc/self/mountinfo", errors="replace") as f:
            for line in f:
                if line.split(" ", 1)[0] == mount:
                    return line.partition(" - ")[2].split()[0] in _TRUSTED
    except (OSError, StopIteration, IndexError):
        pass
    try:  # without /proc, as in many a chroot
        import ctypes
        answer = (ctypes.c_ulong * 64)()  # struct statfs begins with the number
        return ctypes.CDLL(None).fstatfs(fd, answer) == 0 and answer[0] & 0xFFFFFFFF in _TRUSTED.values()
    except (ImportError, OSError, AttributeError):
        return False


def _sees_stores(name, dirfd, header):
    """Checks that stores through the mapping are seen by name. On some filesystems they are not."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
    try:
        if os.pread(fd, len(header), 0) != header:
            raise OSError("stores to mapped memory are not seen by other processes")
    finally:
        os.close(fd)


def _appear(temporary, name, dirfd):
    """Renames, never over a file. rename(2) would replace one, so this links and unlinks."""
    try:
        os.link(temporary, name, src_dir_fd=dirfd, dst_dir_fd=dirfd, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        os.rename(temporary, name, src_dir_fd=dirfd, dst_dir_fd=dirfd)  # no links here; the name is 128 random bits
        return
    try:
        os.unlink(temporary, dir_fd=dirfd)
    except FileNotFoundError:
        pass


def _allocate(fd, start, length):
    try:
        os.posix_fallocate(fd, start, length)
    except OSError as e:
        if e.errno not in (errno.EOPNOTSUPP,) + _NO_LOCKS:
            raise
        zeros = bytes(length)
        while length > 0:
            n = os.pwrite(fd, zeros[:length], start)
            start, length = start + n, length - n


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        if _of_handler(e):
            raise
        return b""


def _start_time():
    fields = _read("/proc/self/stat").rpartition(b")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0


def _boot_id():
    try:
        return bytes.fromhex(_read("/proc/sys/kernel/random/boot_id").decode().strip().replace("-", ""))[:16]
    except ValueError:
        return bytes(16)


def _pid_namespace():
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _file_mode():
    text = os.environ.get("MULTIPROM_FILE_MODE")
    if not text:
        return 0o600
    mode = int(text, 8)  # a ValueError names the text
    if mode & 0o600 != 0o600 or mode & ~0o664:
        raise ValueError("MULTIPROM_FILE_MODE: %r is invalid for a metrics file" % text)
    return mode


def _process_id():
    choose = _settings["process_id"]
    if choose:
        try:
            return choose()
        except Exception as e:
            _say("process_id", "the label pid is the process's pid: process_id failed: %r", e)
    return os.environ.get("MULTIPROM_PROCESS_ID")


# ---- families and series ----

class _Family:
    """A schema, which a file has once."""

    def __init__(self, typ, name, mode, labels, text, unit, bounds, states):
        self.typ, self.name, self.mode, self.labels = typ, name, mode, labels
        self.help, self.unit, self.bounds, self.states = text, unit, bounds, states
        self.id = None  # in the file; -1 if the file cannot have it
        self.record = self.size = None  # where it is in the file, in words
        self.orphans = {}  # places of series that have no handle but still count, by their labels

    def words(self):
        if self.typ == COUNTER or self.typ == SUMMARY:
            return 2
        if self.typ == HISTOGRAM:
            return 2 + len(self.bounds)
        if self.typ == INFO:
            return 0
        return 5 if self.mode >= 8 else 1

    def encoded(self, number):
        """The record, or None if it is not within the bounds of docs/format.md."""
        names = [_utf8(self.name), _cut(self.help, MAX_HELP), _utf8(self.unit)]
        labels, states = [_utf8(l) for l in self.labels], [_utf8(s) for s in self.states]
        if any(len(n) > MAX_NAME for n in names[::2] + labels + states):
            return None
        if len(labels) > MAX_LABELS or len(self.bounds) > MAX_BOUNDS or len(states) > MAX_STATES:
            return None
        body = struct.pack("<IBBHHHHH", number, self.typ, self.mode, len(labels), 0, len(self.bounds), len(states), 0)
        body += struct.pack("<%dd" % len(self.bounds), *self.bounds)
        record = _sealed(FAMILY, body + _strings(names + labels + states), 0)
        return record if len(record) <= BLOCK - BLOCK_HEADER else None

    def enter(self):
        """Whether the file has the family, which is added if it is not there."""
        if self.id is None:
            record = self.encoded(_store.families)
            if record is None:
                _say(self, "metric %s stays in this process: its name, labels, buckets or states are too long", self.name)
                self.id = -1
            else:
                try:  # if it fails, the next series tries again
                    _store.add_record(record, False, self)
                finally:
                    if self.record is not None:
                        self.id = _store.families
                        _store.families += 1
        return self.id >= 0


class _Place:
    """Where a series is in the file."""

    __slots__ = ("record", "size", "cells", "words", "removed", "exemplars")

    def __init__(self, cells, words):
        self.record = self.size = None  # in words, as what follows
        self.cells, self.words = cells, words
        self.removed = None  # when, by the monotonic clock; infinity while that is not in the file
        self.exemplars = {}  # lists of _Exemplar, by bucket; the last one is in use

    def all_exemplars(self):
        for same in self.exemplars.values():
            yield from same


_dropped = collections.deque()  # (family, labels with further ones, place) of series whose handle is gone


class _Series:
    """One label set, and the handle of it. Its words are q[i], q[i + 1], …, which are d[i], … too."""

    __slots__ = ("q", "d", "i", "family", "labels", "extra", "number", "place", "gone", "__weakref__")

    _multiprocess = True

    def __init__(self, family, labels, extra=()):
        global _numbers
        self.family, self.labels, self.extra = family, labels, extra
        self.q = self.d = self.place = None  # before the first update of the process
        self.i = 0
        self.gone = False
        with _held:
            self.number = _numbers
            _series[self.number] = weakref.ref(self)
            _numbers += 1
            if _alive[0] or _busy:
                _change(self.enter)

    def __del__(self):
        try:
            del _series[self.number]
            if self.place is not None:
                _dropped.append((self.family, (self.labels, self.extra), self.place))
        except (AttributeError, KeyError, TypeError):
            pass  # the interpreter ends

    # The lock is held in the methods that follow.

    def enter(self):
        """Puts the series in the file. If that has no space, its words are in memory."""
        if self.place is not None:
            return
        if _store is not None and not self.gone:
            try:
                self._enter()
            except _Full as e:
                _say("full", "new metrics stay in this process: %s has no space: %s", _store.path, e)
            if self.place is None:
                _store.count(FALLBACK)
            _store.look()
        if self.place is None and self.q is None:
            self.keep_in_memory()

    def _enter(self):
        family, n = self.family, self.family.words()
        _adopt_dropped()
        if not family.enter():
            return
        if self._adopt():
            return
        values, extra = [_utf8(v) for v in self.labels], [_utf8(e) for e in self.extra]
        if any(len(v) > MAX_VALUE for v in values + extra) or len(values) + len(extra) // 2 > MAX_LABELS:
            _store.count(OVERFLOW)
            values, extra = [_OVERFLOW_VALUE.encode()] * len(values), []
        cells = _store.add_cells(n)
        place, (q, d, i) = _Place(cells, n), _store.views(cells)
        try:
            if cells:
                if family.typ == GAUGE and family.mode < 8:
                    q[i] = UNSET
            body = struct.pack("<QQIIIHH", _store.new_created(), 0, 0, family.id, cells, len(values), len(extra) // 2)
            record = _sealed(SERIES, body + _strings(values + extra), 20)
            if len(record) > BLOCK - BLOCK_HEADER:
                raise _Full("its labels are longer than a block")
            _store.add_record(record, True, place)
        except _Full:
            if cells:
                _store.free_cells.add(cells, n)
            raise
        finally:
            if place.record is not None:
                self.place = place
                if cells:
                    self.q, self.d, self.i = q, d, i

    def _adopt(self):
        """Continues a series of the same labels whose handle is gone. A new one for each metric that
        a program makes again and again would fill the file."""
        place = self.family.orphans.pop((self.labels, self.extra), None)
        if place is None:
            return False
        self.place = place
        if place.cells:
            self.q, self.d, self.i = _store.views(place.cells)
        self.adopted()
        return True

    def adopted(self):
        """Begins at 0 for the program, while the file goes on."""

    def keep_in_memory(self):
        words = memoryview(bytearray(8 * max(1, self.family.words())))
        self.q, self.d, self.i = words.cast("Q"), words.cast("d"), 0
        if self.family.typ == GAUGE and self.family.mode < 8:
            self.q[0] = UNSET

    def leave(self):
        """The process is a child: the words are the parent's."""
        self.q = self.d = self.place = None
        self.i = 0

    def remove(self):
        """Removes the series from the view. Its words stay its own while there is a handle."""
        if not self.gone:
            self.gone = True
            if self.place is not None:
                self.place.removed = math.inf
            _change(self._remove)

    def _remove(self):
        if self.place is not None and _alive[0]:
            _store.remove(self.place)

    def update(self, what, *args):
        """Runs an update that has more than one step."""
        with _held:
            if not _busy and not _alive[0]:
                _wake(self)
            _change(what, *args)

    # A child's values are 0 until its first update.

    @property
    def _series(self):
        return self

    def get_exemplar(self):
        return None

    def set_exemplar(self, exemplar):
        pass


def _adopt_dropped():
    """Sorts out the places whose handles are gone: they are free after a while if they were
    removed, else a series with the same labels may continue there."""
    while _dropped:
        family, labels, place = _dropped[0]
        if place.removed == math.inf:  # a signal handler has raised an exception amid the removal
            _store.remove(place)
        _dropped.popleft()
        if place.removed is not None:
            _store.removed.append(place)
        else:
            family.orphans[labels] = place


class _Exemplars:
    """What a counter and a bucket have in common: the newest exemplar."""

    __slots__ = ()

    def get_exemplar(self):
        return self.exemplar

    def set_exemplar(self, exemplar):
        self.exemplar = exemplar
        self._series.update(_set_exemplar, self._series, self.bucket, exemplar)


def _set_exemplar(series, bucket, exemplar):
    place = series.place
    if place is None:
        return
    labels = sorted(exemplar.labels.items())
    text = _strings([_utf8(t) for label in labels for t in label])
    nanos = _nanos(exemplar.timestamp if exemplar.timestamp is not None else time.time())
    same = place.exemplars.setdefault(bucket, [])
    if not same or same[-1].room < len(text):
        if place.removed is not None:
            return
        larger = _Exemplar(len(text))
        try:
            larger.enter(place, bucket)
        except _Full:
            return
        finally:
            if larger.record is not None:
                same.append(larger)
    same[-1].store(nanos, float(exemplar.value), text)
    for older in same[:-1]:
        older.store(0, 0.0, b"")  # it would win if the clock was set back


class _Exemplar:
    """An exemplar record. Each store fills the half that readers do not read."""

    __slots__ = ("record", "size", "room")

    def __init__(self, length):
        self.record = self.size = None
        self.room = 64
        while self.room < length:
            self.room *= 2

    def enter(self, place, bucket):
        body = struct.pack("<II", place.record, bucket) + bytes(8 + 2 * (24 + self.room))
        record = _sealed(EXEMPLAR, body, 0, 8)
        _store.add_record(record, False, self)

    def store(self, nanos, value, text):
        at, half = self.record + 3, 3 + self.room // 8
        sequence = _store.get(at) | 1  # it is odd already if a signal handler has raised an exception amid this
        _store.put(at, sequence)
        first = at + 1 + half * ((sequence // 2 + 1) & 1)
        words = struct.unpack("<%dQ" % (-(-len(text) // 8)), _pad(text))
        _store.put(first, nanos)
        _store.put(first + 1, struct.unpack("<Q", struct.pack("<d", value))[0])
        _store.put(first + 2, len(text))
        for i, word in enumerate(words):
            _store.put(first + 3 + i, word)
        _store.put(at, sequence + 1)


# ---- values, as prometheus_client calls them ----

class _Continued:
    """Stands in for the float words of a series that continues one whose handle is gone. The program
    sees what it has added since; the file has that added to what was there. A difference would not
    do: it is rounded, and NaN if there was an infinity."""

    __slots__ = ("words", "at", "base", "own")

    def __init__(self, words, at):
        self.words, self.at, self.base, self.own = words, at, words[at], 0.0

    def __getitem__(self, _):
        return self.own

    def __setitem__(self, _, value):
        self.own = value
        self.words[self.at] = self.base + value


class _Counter(_Exemplars, _Series):
    __slots__ = ("base", "exemplar")
    bucket = 0

    def __init__(self, family, labels):
        self.base, self.exemplar = 0, None
        super().__init__(family, labels)

    def inc(self, amount):
        try:
            _acquire()
            if _busy:
                _pending.append((self.add, (amount,)))
            else:
                if not _alive[0]:
                    _wake(self)
                if amount == 1:
                    self.q[self.i] += 1
                else:
                    self.add(amount)
        except BaseException:
            _unlock()
            raise
        _release()

    def add(self, amount):
        """Whole increments below 2^32 are exact in the word of integers."""
        whole = int(amount) if 0 <= amount < 4294967296 else -1
        if amount == whole:
            self.q[self.i] += whole
            return
        amount = float(amount)
        if 0 <= amount and self.d[self.i + 1] + amount < math.inf:
            self.d[self.i + 1] += amount
        elif _store is not None:
            _store.count(INVALID)

    def get(self):
        if not _alive[0] or self.q is None:
            return 0.0
        return self.q[self.i] - self.base + self.d[self.i + 1]

    def set(self, value, timestamp=None):
        """Counter.reset(), and programs that set a counter: a new start of the series."""
        self.update(self._restart, value)

    def _restart(self, value):
        if self.place is None or self.gone:
            self._store_value(value)
        else:
            _store.restart(self.place, lambda: self._store_value(value))

    def _store_value(self, value):
        if isinstance(self.d, _Continued):
            self.d = self.d.words
        self.q[self.i], self.d[self.i + 1], self.base = 0, 0.0, 0
        self.add(value)

    def leave(self):
        super().leave()
        self.base, self.exemplar = 0, None

    def adopted(self):
        self.base = self.q[self.i]
        self.d = _Continued(self.d, self.i + 1)
        self.__class__ = _ContinuedCounter


class _Gauge(_Series):
    __slots__ = ()

    def inc(self, amount):
        try:
            _acquire()
            if _busy:
                _pending.append((self.add, (amount,)))
            else:
                if not _alive[0]:
                    _wake(self)
                self.add(amount)
        except BaseException:
            _unlock()
            raise
        _release()

    def add(self, amount):
        i, amount = self.i, float(amount)
        value = self.d[i]
        if value != value and self.q[i] == UNSET:
            value = 0.0
        value += amount
        self.d[i] = value if value == value else math.nan

    def set(self, value, timestamp=None):
        try:
            _acquire()
            if _busy:
                _pending.append((self.store, (value,)))
            else:
                if not _alive[0]:
                    _wake(self)
                self.d[self.i] = value if value == value else math.nan
        except BaseException:
            _unlock()
            raise
        _release()

    def store(self, value):
        self.d[self.i] = value if value == value else math.nan

    def get(self):
        if not _alive[0] or self.q is None or self.q[self.i] == UNSET:
            return 0.0
        return self.d[self.i]

    def adopted(self):
        self.q[self.i] = UNSET


class _Recent(_Series):
    """A gauge of mode mostrecent or livemostrecent."""

    __slots__ = ()

    def set(self, value, timestamp=None):
        self.update(self.store, value, time.time_ns() if not timestamp else _nanos(timestamp))

    def store(self, value, nanos):
        i = self.i
        sequence = self.q[i] + 1
        pair = i + 1 + 2 * (sequence & 1)
        self.d[pair] = value if value == value else math.nan
        self.q[pair + 1] = nanos
        if _WEAK:
            _fence()
        self.q[i] = sequence

    def inc(self, amount):
        if _store is not None:
            _store.count(INVALID)  # the new value would be no more recent than the old one

    def get(self):
        if not _alive[0] or self.q is None:
            return 0.0
        return self.d[self.i + 1 + 2 * (self.q[self.i] & 1)]


class _Several(_Series):
    """A histogram or a summary, whose words prometheus_client updates one by one."""

    __slots__ = ("base",)

    def __init__(self, family, labels):
        self.base = None
        super().__init__(family, labels)

    def leave(self):
        super().leave()
        self.base = None

    def adopted(self):
        self.base = list(self.q[self.i:self.i + self.family.words()])
        self.d = _Continued(self.d, self.i + (0 if self.family.typ == HISTOGRAM else 1))


class _Part:
    """The sum of a histogram or summary."""

    __slots__ = ("_series", "k", "exemplar")

    _multiprocess = True

    def __init__(self, series, k):
        self._series, self.k, self.exemplar = series, k, None

    def inc(self, amount):
        series = self._series
        try:
            _acquire()
            if _busy:
                _pending.append((self.add, (amount,)))
            else:
                if not _alive[0]:
                    _wake(series)
                series.d[series.i + self.k] += amount
        except BaseException:
            _unlock()
            raise
        _release()

    def add(self, amount):
        series = self._series
        series.d[series.i + self.k] += amount

    def get(self):
        series = self._series
        if not _alive[0] or series.q is None:
            return 0.0
        return series.d[series.i + self.k]

    def set(self, value, timestamp=None):
        self._series.update(self.store, value)

    def store(self, value):
        self._series.d[self._series.i + self.k] = value

    def get_exemplar(self):
        return None

    def set_exemplar(self, exemplar):
        pass


class _Count(_Exemplars, _Part):
    """The count of a summary, or a bucket of a histogram."""

    __slots__ = ()

    @property
    def bucket(self):
        return self.k - 1

    def inc(self, amount):
        series = self._series
        try:
            _acquire()
            if _busy:
                _pending.append((self.add, (amount,)))
            else:
                if not _alive[0]:
                    _wake(series)
                if amount == 1:
                    series.q[series.i + self.k] += 1
                else:
                    self.add(amount)
        except BaseException:
            _unlock()
            raise
        _release()

    def add(self, amount):
        series, amount = self._series, int(amount)
        series.q[series.i + self.k] += amount

    def get(self):
        series = self._series
        if not _alive[0] or series.q is None:
            return 0.0
        return float(series.q[series.i + self.k] - (series.base[self.k] if series.base else 0))

    def store(self, value):
        self._series.q[self._series.i + self.k] = int(value)


def _inc_as_change(self, amount):
    self._series.update(self.add, amount)


class _ContinuedCounter(_Counter):
    """Its float is a _Continued, whose load and store are calls."""

    __slots__ = ()
    inc = _inc_as_change


class _ContinuedPart(_Part):
    __slots__ = ()
    inc = _inc_as_change


if sys.version_info < (3, 11):
    _Counter.inc = _Gauge.inc = _Part.inc = _Count.inc = _inc_as_change


class _State(_Series):
    """A state set. Its state is also in the program, and a forked child inherits it."""

    __slots__ = ("state",)

    def __init__(self, family, labels):
        self.state = 0
        super().__init__(family, labels)

    def choose(self, state):
        self.state = state
        self.update(self.store)

    def store(self):
        self.q[self.i] = self.state

    def enter(self):
        super().enter()
        self.q[self.i] = self.state


def _family(typ, name, mode=0, labels=(), text="", unit="", bounds=(), states=()):
    key = typ, name, mode, labels, text, unit, bounds, states
    family = _families.get(key)
    if family is None:
        family = _families.setdefault(key, _Family(*key))
    return family


_making = threading.local()  # .unit of the metric, and .parts of the histogram or summary, that is being made


class NativeValue:
    """What prometheus_client calls values.ValueClass."""

    _multiprocess = True

    def __new__(cls, typ, metric_name, name, labelnames, labelvalues, help_text, multiprocess_mode="", **_):
        labels, values = tuple(labelnames), tuple(labelvalues)
        unit = getattr(_making, "unit", "")
        if typ == "counter":
            return _Counter(_family(COUNTER, metric_name, 0, labels, help_text, unit), values)
        if typ == "gauge":
            mode = MODES.index(multiprocess_mode or "all")
            kind = _Recent if mode >= 8 else _Gauge
            return kind(_family(GAUGE, metric_name, mode, labels, help_text, unit), values)
        if typ == "summary":
            return cls._summary(_family(SUMMARY, metric_name, 0, labels, help_text, unit), values, name)
        if typ == "histogram":
            return cls._histogram(metric_name, labels, values, help_text, unit, name)
        raise ValueError("unknown type of a metric: %s" % typ)

    @staticmethod
    def _summary(family, values, name):
        """A summary makes its count, then its sum."""
        if name == family.name + "_count":
            series = _Several(family, values)
            _making.parts = family, values, series
            return _Count(series, 0)
        known, labels, series = getattr(_making, "parts", (None, None, None))
        if known is not family or labels != values:
            series = _Several(family, values)
        _making.parts = None, None, None
        return (_Part if series.base is None else _ContinuedPart)(series, 1)

    @staticmethod
    def _histogram(metric_name, labels, values, help_text, unit, name):
        """A histogram makes its sum, then its buckets up to +Inf. The record needs all bounds."""
        if name != metric_name + "_bucket":
            part = _Part(None, 0)
            _making.parts = (metric_name, values), [part], []
            return part
        key, parts, bounds = getattr(_making, "parts", (None, None, None))
        if key != (metric_name, values[:-1]):
            key, parts, bounds = (metric_name, values[:-1]), [], []
            _making.parts = key, parts, bounds
        part = _Count(None, len(bounds) + 1)
        parts.append(part)
        bound = float(values[-1])
        if bound != math.inf:
            bounds.append(bound)
            return part
        _making.parts = None, None, None
        family = _family(HISTOGRAM, metric_name, 0, labels[:-1], help_text, unit, tuple(bounds))
        series = _Several(family, values[:-1])
        for each in parts:
            each._series = series
        if series.base is not None:
            parts[0].__class__ = _ContinuedPart
        return part


# ---- what is published at a period ----

class _Publisher:
    """Publishes functions of gauges and the collectors of publish(), by a thread of each process
    that has a file."""

    def __init__(self):
        self.functions = []  # (weak reference to the gauge, function)
        self.collectors = []
        self.thread = None
        self.turn = threading.Lock()  # of a publication

    def start(self):
        """The lock is held."""
        if self.thread is None and _alive[0] and (self.functions or self.collectors):
            self.thread = threading.Thread(target=self.run, args=(os.getpid(),), name="multiprom_client", daemon=True)
            self.thread.start()

    def add(self, to, what):
        with _held:
            to.append(what)
            self.start()

    def forget_parent(self):
        self.thread = None
        self.turn = threading.Lock()
        for collector in self.collectors:
            collector.forget_parent()

    def run(self, pid):
        wait = threading.Event().wait
        while os.getpid() == pid:
            with self.turn:
                self.publish()
            wait(_settings["period"])

    def last(self):
        """Publishes what has been counted since the last period. The interpreter ends."""
        if self.thread is not None and self.turn.acquire(timeout=1):
            self.publish()

    def publish(self):
        for entry in list(self.functions):
            ref, function = entry
            gauge = ref()
            if gauge is None:
                self.functions.remove(entry)
                continue
            try:
                value = float(function())
                if not isinstance(gauge._value, _Recent) or value != gauge._value.get():
                    gauge._value.set(value)  # a mostrecent value that has not changed keeps its time
            except Exception as e:
                _say(("publish", id(gauge)), "%s cannot be published: %r", gauge, e)
        for collector in list(self.collectors):
            try:
                collector.publish()
            except Exception as e:
                _say(("publish", id(collector)), "%s cannot be published: %r", collector.source, e)
        with _held:
            if _alive[0] and _store is not None:
                _store.look()


_publisher = _Publisher()
atexit.register(_publisher.last)


class _Published:
    """The series of a collector. Counters, histograms and summaries that begin again continue
    from what they had, so that what other processes see never falls."""

    def __init__(self, source, mode, limit):
        self.source, self.mode, self.limit = source, mode, limit
        self.entries = {}  # [series, what it had when it began again, what it had last], by family and labels

    def forget_parent(self):
        """The collector still has what it counted in the parent, which has published that."""
        for entry in self.entries.values():
            entry[1] = [-v for v in entry[2]]

    def publish(self):
        seen, failed = set(), True
        try:
            for family, labels, extra, values in self.series():
                key = family, labels, extra
                if len(seen) < self.limit or key in seen:
                    self.enter(key, values)
                    seen.add(key)
                else:
                    _say(("limit", id(self)), "%s yields more than %d series: the others are not published", self.source, self.limit)
            failed = False
        finally:
            # If it failed, nobody knows which series went. A gauge says nothing true any more; what was counted, was.
            with _held:
                for key in set(self.entries) - seen:
                    if not failed or key[0].typ not in _CUMULATIVE:
                        self.entries.pop(key)[0].remove()

    def enter(self, key, values):
        family = key[0]
        entry = self.entries.get(key)
        if entry is None:
            entry = self.entries[key] = [_Series(*key), [0] * len(values), [0] * len(values)]
        with _held:
            series, base, last = entry
            if not _alive[0]:
                _wake(series)
            i = series.i
            if family.typ in _CUMULATIVE:
                if any(v < old for v, old in zip(values, last)):
                    base = entry[1] = [b + old for b, old in zip(base, last)]
                entry[2] = values
                values = [b + v for b, v in zip(base, values)]
            if family.typ == COUNTER:
                series.d[i + 1] = values[0]
            elif family.typ == HISTOGRAM:
                series.d[i] = values[0]
                for k, n in enumerate(values[1:]):
                    series.q[i + 1 + k] = n
            elif family.typ == SUMMARY:
                series.q[i], series.d[i + 1] = values
            elif family.typ == STATESET:
                series.q[i] = values[0]
            elif values:
                series.d[i] = values[0] if values[0] == values[0] else math.nan

    def series(self):
        """(family, label values, further labels, values) of each series."""
        for metric in self.source.collect():
            if metric.name not in _PROCESS_FAMILIES:
                yield from self.series_of(metric)

    def series_of(self, metric):
        name, typ = metric.name, metric.type
        groups = {}  # the samples of a series, by its labels
        own = {"histogram": "le", "summary": "quantile", "stateset": name}.get(typ)
        for s in metric.samples:
            if s.name.endswith("_created") or s.name.endswith("_gcount") or s.name.endswith("_gsum"):
                continue
            labels = tuple(sorted((n, v) for n, v in s.labels.items() if n != own))
            groups.setdefault(labels, []).append(s)
        for labels, samples in groups.items():
            names, values = tuple(n for n, _ in labels), tuple(v for _, v in labels)

            def family(code, mode=0, **more):
                return _family(code, name, mode, names, metric.documentation, metric.unit, **more)

            if typ in ("gauge", "unknown", "untyped"):
                yield family(GAUGE if typ == "gauge" else 0, MODES.index(self.mode)), values, (), [samples[-1].value]
            elif typ == "counter":
                yield family(COUNTER), values, (), [samples[-1].value]
            elif typ == "info":
                content = tuple(t for label in labels for t in label)
                yield _family(INFO, name, 0, (), metric.documentation), (), content, []
            elif typ == "stateset":
                states = tuple(s.labels[name] for s in samples)
                on = [i for i, s in enumerate(samples) if s.value]
                if len(on) == 1:
                    yield family(STATESET, 1, states=states), values, (), on
            elif typ == "summary":
                by = {s.name: s.value for s in samples if "quantile" not in s.labels}
                yield family(SUMMARY), values, (), [int(by.get(name + "_count", 0)), by.get(name + "_sum", math.nan)]
            elif typ == "histogram":
                buckets = sorted((float(s.labels["le"]), s.value) for s in samples if "le" in s.labels)
                total = next((s.value for s in samples if s.name == name + "_sum"), math.nan)
                counts = [int(n - below) for (_, n), below in zip(buckets, [0] + [n for _, n in buckets])]
                bounds = tuple(b for b, _ in buckets if b != math.inf)
                if len(counts) == len(bounds) + 1:
                    yield family(HISTOGRAM, bounds=bounds), values, (), [total] + counts
            else:
                _say(("type", name), "metric %s cannot be published: files have no type %s", name, typ)


def publish(collector, mode="liveall", limit=10000):
    """Publishes what a collector yields, at the period of install(), in each process that has a file.

    collector has a method collect(), as those that prometheus_client registers, and its values must
    be those of this process alone. It is called by one thread. Do not also declare a metric of a
    name that it yields.
    mode says how the gauges of all processes merge: it is one of prometheus_client's multiprocess
    modes but for mostrecent and livemostrecent.
    limit is how many series are published. Further ones are left out, and one line in the log says so.

    Series that the collector does not yield any more are removed. If it fails, its gauges are, and
    counters stay. A forked child's counters begin at what its parent last published. Quantiles and
    state sets with other than one state on are not published, nor are the metrics of
    prometheus_client's ProcessCollector, since mpctl serve has them of every living worker."""
    if mode not in MODES[:8]:
        raise ValueError("invalid mode: %r" % mode)
    if hasattr(collector, "get_sample_value"):
        raise ValueError("publish collectors one by one: a registry also has the metrics that are in the file already")
    _publisher.add(_publisher.collectors, _Published(collector, mode, limit))


# ---- installation ----

def install(process_id=None, keep_removed=120.0, period=10.0):
    """Has prometheus_client write native files. Call it before the first metric is made.

    Returns whether it does. It does not if PROMETHEUS_MULTIPROC_DIR is not set, where metrics stay
    in the process, and on other systems than Linux, where prometheus_client's own files stay.

    process_id returns what the label pid of gauges says, such as uwsgi.worker_id. It is asked when
    the process makes its file. Default: the variable MULTIPROM_PROCESS_ID, or the pid.
    keep_removed is for how many seconds the values of a removed series stay readable.
    period is after how many seconds functions of gauges and collectors are published again. They are
    once more when the interpreter ends."""
    if not period > 0:
        raise ValueError("invalid period: %r" % period)
    _settings.update(process_id=process_id, keep_removed=float(keep_removed), period=float(period))
    return _patch(importlib.import_module("prometheus_client.metrics"))


def _patch(metrics):
    if getattr(metrics, "_multiprom_client", False):
        return True
    if not _directory():
        return False
    if sys.platform != "linux" or sys.byteorder != "little":
        _say("system", "native files need a little-endian Linux: metrics are in prometheus_client's own files")
        return False
    if not os.path.isabs(_directory()):
        _settings["from"] = os.getcwd()  # the program may go elsewhere before its first update, as daemons do
    import logging  # noqa: F401  so that its hooks of a fork take their locks before ours
    import warnings
    warnings.filterwarnings("ignore", "(Removal|Clearing).*(multi-process)", UserWarning, r"prometheus_client\.metrics")
    sys.modules["prometheus_client.values"].ValueClass = NativeValue
    for kind in (metrics.Counter, metrics.Gauge, metrics.Summary, metrics.Histogram):
        _wrap(kind, "_metric_init", _making_metric)
    _wrap(metrics.MetricWrapperBase, "__init__", _init)
    _wrap(metrics.Gauge, "set_function", _set_function)
    _wrap(metrics.Info, "info", _info)
    _wrap(metrics.Enum, "__init__", _enum)
    _wrap(metrics.Enum, "state", _state)
    _wrap(metrics.MetricWrapperBase, "remove", _remove)
    for name in ("clear", "remove_by_labels"):
        if hasattr(metrics.MetricWrapperBase, name):
            _wrap(metrics.MetricWrapperBase, name, _remove_many)
    metrics._multiprom_client = True
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
    _hook_uwsgi()
    return True


def _hook_uwsgi():
    """uWSGI forks without Python's hooks."""
    try:
        import uwsgi
    except ImportError:
        return
    try:
        from uwsgidecorators import postfork
        postfork(_after_other_fork)
    except ImportError:
        others = getattr(uwsgi, "post_fork_hook", None)

        def hook():
            _after_other_fork()
            if others is not None:
                others()

        uwsgi.post_fork_hook = hook


def _wrap(kind, name, around):
    original = getattr(kind, name)

    def method(self, *args, **kwargs):
        return around(original, self, *args, **kwargs)

    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(method, attribute, getattr(original, attribute))
    setattr(kind, name, method)


def _making_metric(original, metric):
    _making.unit, _making.parts = getattr(metric, "_unit", ""), (None, None, None)
    try:
        original(metric)
    finally:
        _making.unit = ""


def _init(original, metric, *args, **kwargs):
    original(metric, *args, **kwargs)
    if hasattr(metric, "_metrics") and not metric._labelvalues:
        _parents.add(metric)


def _set_function(original, gauge, function):
    original(gauge, function)
    _publisher.add(_publisher.functions, (weakref.ref(gauge), function))


def _family_of(typ, metric, mode=0, states=()):
    return _family(typ, metric._name, mode, tuple(metric._labelnames), metric._documentation, "", (), states)


def _info(original, metric, content):
    original(metric, content)
    extra = tuple(t for label in sorted(content.items()) for t in label)
    series = _Series(_family_of(INFO, metric), tuple(metric._labelvalues), extra)
    with _held:
        old, metric._native = getattr(metric, "_native", None), series
        if old is not None:
            old.remove()


def _enum(original, metric, *args, **kwargs):
    original(metric, *args, **kwargs)
    if metric._is_observable():
        family = _family_of(STATESET, metric, 1, tuple(metric._states))
        metric._native = _State(family, tuple(metric._labelvalues))


def _state(original, metric, state):
    original(metric, state)
    metric._native.choose(metric._states.index(state))


def _retire(child):
    """Removes the series of a child that its metric does not have any more."""
    for name in ("_value", "_sum", "_native"):
        series = getattr(getattr(child, name, None), "_series", None)
        if series is not None:
            with _held:
                series.remove()


def _remove(original, metric, *labelvalues):
    labels = tuple(str(v) for v in labelvalues)
    _remove_some(original, metric, labelvalues, {labels: getattr(metric, "_metrics", {}).get(labels)})


def _remove_many(original, metric, *args):
    _remove_some(original, metric, args, dict(getattr(metric, "_metrics", {})))


def _remove_some(original, metric, args, before):
    """Removes the series of those children that the metric has no more, also if a signal handler has
    raised an exception."""
    try:
        original(metric, *args)
    finally:
        after = getattr(metric, "_metrics", {})
        for labels, child in before.items():
            if after.get(labels) is not child:
                _retire(child)


class _Finder:
    """Patches prometheus_client as soon as a program imports it."""

    def find_spec(self, name, path=None, target=None):
        if name != "prometheus_client.metrics":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                _patch(module)

            spec.loader.exec_module = exec_module
        return spec


if os.environ.get("PROMETHEUS_MULTIPROC_FORMAT") == "mpm":
    if "prometheus_client.metrics" in sys.modules:
        _patch(sys.modules["prometheus_client.metrics"])
    else:
        sys.meta_path.insert(0, _Finder())
