//! /init in Zig: picoinit's contract.
//!
//! All signals stay blocked, and one loop takes them from the kernel, one by one.

const std = @import("std");
const linux = std.os.linux;

/// How long processes may take to end, in seconds.
const grace = 5;
/// How deep mounts may be nested to be unmounted.
const depth = 16;
/// How many bytes are printed of a name from outside.
const name_limit = 160;
/// To kill(2): all but PID 1.
const everyone = -1;
/// Exit statuses, as shells have them.
const not_executable = 126;
const not_found = 127;

/// Numbers of the kernel's.
const EPERM = 1;
const ENOENT = 2;
const ESRCH = 3;
const EINTR = 4;
const ECHILD = 10;
const SIGINT = 2;
const SIGKILL = 9;
const SIGUSR1 = 10;
const SIGUSR2 = 12;
const SIGALRM = 14;
const SIGTERM = 15;
const SIGCHLD = 17;
const SIGCONT = 18;
const SIG_SETMASK = 2;
const ITIMER_REAL = 0;
const signals = 64;
const AT_FDCWD = -100;
const UMOUNT_NOFOLLOW = 8;
const WNOHANG = 1;
const POLLOUT = 4;
const STATX_ATTR_MOUNT_ROOT = 0x2000;
const TIOCSCTTY = 0x540e;
const TIOCNOTTY = 0x5422;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_APPEND = 0o2000;
const O_NONBLOCK = 0o4000;
const SEEK_CUR = 1;
const Command = linux.LINUX_REBOOT.CMD;

const Word = [*:0]const u8;
const Words = [*:null]const ?Word;

/// A system call, which returns a negative errno if it fails.
inline fn system(number: linux.SYS, arguments: anytype) i32 {
    var words: [5]usize = @splat(0);
    inline for (arguments, 0..) |argument, i| words[i] = number_of(argument);
    const returned = switch (arguments.len) {
        0 => linux.syscall0(number),
        1 => linux.syscall1(number, words[0]),
        2 => linux.syscall2(number, words[0], words[1]),
        3 => linux.syscall3(number, words[0], words[1], words[2]),
        4 => linux.syscall4(number, words[0], words[1], words[2], words[3]),
        else => linux.syscall5(number, words[0], words[1], words[2], words[3], words[4]),
    };
    return @bitCast(@as(u32, @truncate(returned)));
}

inline fn number_of(argument: anytype) usize {
    return switch (@typeInfo(@TypeOf(argument))) {
        .pointer, .optional => @intFromPtr(argument),
        .comptime_int => if (argument < 0) @bitCast(@as(isize, argument)) else argument,
        else => @bitCast(@as(isize, argument)),
    };
}

/// What has to be remembered.
const State = struct {
    /// The program's PID; 0 if it is not running.
    program: i32,
    /// How it ended; until it has, "killed".
    exit_status: i32 = 128 + SIGKILL,
    /// The reboot(2) command that ends the teardown, if one is under way.
    stopping: ?Command = null,
    /// Whether the teardown has killed everyone.
    killed: bool = false,

    fn reap_all(state: *State) void {
        var status: i32 = 0;
        while (true) {
            const pid = system(.wait4, .{ -1, &status, WNOHANG, 0 });
            if (pid == -ECHILD and state.stopping != null) state.finish();
            if (pid <= 0) return;
            const signal = status & 0x7f;
            const code = status >> 8 & 0xff;
            var line: Line = .{};
            line.text("init: pid ");
            line.number(@intCast(pid));
            if (signal == 0) line.end_with(" exited with status ", code) else line.end_with(" killed by signal ", signal);
            if (pid == state.program) {
                state.program = 0;
                state.exit_status = if (signal == 0) code else 128 + signal;
                state.begin_teardown(.POWER_OFF);
            }
        }
    }

    /// Waits for a signal, and does what it asks for.
    fn heed_signal(state: *State) void {
        const all: u64 = ~@as(u64, 0);
        const signal = system(.rt_sigtimedwait, .{ &all, 0, 0, 8 });
        if (signal < 0) {
            // A kernel that refuses this would have PID 1 spin.
            if (signal != -EINTR) _ = system(.poll, .{ 0, 0, -1 });
            return;
        }
        switch (signal) {
            SIGCHLD => return,
            SIGUSR1 => return state.begin_teardown(.HALT),
            SIGUSR2 => return state.begin_teardown(.POWER_OFF),
            SIGTERM, SIGINT => return state.begin_teardown(.RESTART),
            // Anyone may send it, and then the timer's own is lost, because one that
            // is pending is not sent twice; so the timer itself is asked.
            SIGALRM => if (state.stopping != null) {
                if (!alarm_is_over()) return;
                if (state.killed) return state.finish();
                state.killed = true;
                return press(SIGKILL);
            },
            else => {},
        }
        if (state.program > 0) _ = system(.kill, .{ state.program, signal });
    }

    fn begin_teardown(state: *State, command: Command) void {
        if (state.stopping != null) return;
        state.stopping = command;
        _ = system(.kill, .{ everyone, SIGTERM });
        // A stopped process has to be woken to see that it is to end.
        press(SIGCONT);
    }

    /// If the machine goes on all the same, so does PID 1.
    fn finish(state: *State) void {
        _ = alarm(0);
        // Only the PID 1 of a whole machine may do this. What is mounted in a
        // container belongs to whoever made it.
        if (reboot(.CAD_OFF) >= 0) {
            _ = system(.sync, .{});
            unmount_all();
        }
        if (reboot_is_refused(state.stopping.?)) exit(state.exit_status);
        state.stopping = null;
        state.killed = false;
    }
};

/// Sends everyone a signal, and SIGALRM to PID 1 when it should have been heeded.
fn press(signal: i32) void {
    const returned = system(.kill, .{ everyone, signal });
    if (returned < 0 and returned != -ESRCH) cannot("signal ", "everyone", returned);
    // Without a timer there can be no time to wait.
    if (alarm(grace) < 0) _ = system(.kill, .{ everyone, SIGKILL });
}

/// Calls reboot(2) in a child process: if the machine cannot be switched off, it
/// ends its caller, and the kernel panics when PID 1 ends.
fn reboot_is_refused(command: Command) bool {
    const child = system(.fork, .{});
    if (child > 0) {
        var status: i32 = 0;
        const ended = system(.wait4, .{ child, &status, 0, 0 });
        // One that was killed, as where no memory is left, has said nothing.
        if (ended == child and status & 0x7f == 0) return status != 0;
    }
    const is_refused = reboot(command) < 0;
    if (child == 0) exit(@intFromBool(is_refused));
    return is_refused;
}

fn reboot(command: Command) i32 {
    return system(.reboot, .{ 0xfee1dead, 0x28121969, @as(i64, @backingInt(command)) });
}

fn exit(status: i32) noreturn {
    _ = system(.exit, .{status});
    unreachable;
}

fn block_signals(set: u64) void {
    _ = system(.rt_sigprocmask, .{ SIG_SETMASK, &set, 0, 8 });
}

/// Sends SIGALRM to PID 1, once, in so many seconds; 0 is never.
fn alarm(seconds: i32) i32 {
    return system(.alarm, .{seconds});
}

/// While the kernel is still busy with a timer that just went off, it says that a
/// microsecond is left.
fn alarm_is_over() bool {
    // struct itimerval: an interval, and what is left; each is seconds and microseconds.
    var timer: [4]i64 = undefined;
    return system(.getitimer, .{ ITIMER_REAL, &timer }) < 0 or
        timer[2] == 0 and timer[3] < 1000;
}

fn open(path: Word, flags: i32) i32 {
    return system(.open, .{ path, flags, 0 });
}

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
fn open_console() void {
    while (true) {
        // open(2) takes the lowest descriptor that is free.
        var descriptor = open("/dev/console", O_RDWR | O_NOCTTY);
        if (descriptor < 0) descriptor = open("/dev/null", O_RDWR);
        if (descriptor < 0 or descriptor > 2) {
            _ = system(.close, .{descriptor});
            return;
        }
    }
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for a
/// terminal that nobody reads: poll(2) says that such a terminal can be written
/// to as long as it has room for a part of a line. Not if it is a file on a disk,
/// which keeps nobody waiting, and would get an offset of its own.
fn never_wait() void {
    if (system(.lseek, .{ 2, 0, SEEK_CUR }) >= 0) return;
    const own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    _ = system(.dup2, .{ own, 2 });
    _ = system(.close, .{own});
}

/// Mounts a file system, unless something is mounted there already.
fn mount(kind: Word, target: Word, flags: i32, data: ?Word) void {
    // struct statx: a mask, the block size, the attributes, and more.
    var status: [32]u64 = undefined;
    _ = system(.mkdir, .{ target, 0o755 });
    if (system(.statx, .{ AT_FDCWD, target, 0, 0, &status }) >= 0 and
        status[1] & STATX_ATTR_MOUNT_ROOT != 0) return;
    const all_flags = flags | linux.MS.NOSUID | linux.MS.NOEXEC;
    const returned = system(.mount, .{ kind, target, kind, all_flags, data });
    // In a container that may not mount, there is nothing to say of it.
    if (returned < 0 and returned != -EPERM) cannot("mount ", target, returned);
}

/// What cannot be unmounted is made read-only, and so is the root.
fn unmount_all() void {
    // At the limit on descriptors, there would be none for the list.
    _ = system(.close, .{0});
    // The list begins with what was mounted first, which cannot go before what
    // is mounted inside it; so each time, the innermost go.
    for (0..depth) |_| {
        const list = open("/proc/mounts", 0);
        var buffer: [4096]u8 = undefined;
        while (next_target(list, &buffer)) |target| {
            if (system(.umount2, .{ target, UMOUNT_NOFOLLOW }) < 0)
                _ = system(.mount, .{ target, target, target, linux.MS.REMOUNT | linux.MS.RDONLY, 0 });
        }
        _ = system(.close, .{list});
    }
}

/// Takes a line of /proc/mounts, `device target type options 0 0`, in which a
/// space in the target is written `\040`. Null at the end.
fn next_target(list: i32, buffer: *[4096]u8) ?Word {
    var length: usize = 0;
    var field: u32 = 0;
    while (next(list)) |first| {
        var byte = first;
        if (byte == '\n') {
            buffer[length] = 0;
            return @ptrCast(buffer);
        }
        if (byte == ' ') {
            field += 1;
        } else if (field == 1 and length < buffer.len - 1) {
            if (byte == '\\') {
                for (0..3) |_| byte = byte << 3 | ((next(list) orelse 0) & 7);
            }
            buffer[length] = byte;
            length += 1;
        }
    }
    return null;
}

/// The next byte of a file.
fn next(file: i32) ?u8 {
    var byte: u8 = 0;
    _ = system(.read, .{ file, &byte, 1 });
    return if (byte == 0) null else byte;
}

/// One line. It is one write(2), so that the lines of several processes never tear.
const Line = struct {
    bytes: [256]u8 = undefined,
    length: usize = 0,

    fn push(line: *Line, byte: u8) void {
        line.bytes[line.length] = byte;
        line.length += 1;
    }

    /// Adds a text. What could move the cursor, or is not ASCII, as a question mark.
    fn text(line: *Line, name: Word) void {
        for (0..name_limit) |i| switch (name[i]) {
            0 => return,
            ' '...'~' => |byte| line.push(byte),
            else => line.push('?'),
        };
    }

    fn number(line: *Line, value: u32) void {
        if (value > 9) line.number(value / 10);
        line.push('0' + @as(u8, @intCast(value % 10)));
    }

    fn end_with(line: *Line, rest: Word, value: i32) void {
        line.text(rest);
        line.number(@intCast(value));
        line.end();
    }

    /// Prints it, if it is taken at once: PID 1 does not wait for a pipe that is
    /// full, nor earn a SIGPIPE from one that nobody reads any more.
    fn end(line: *Line) void {
        line.push('\n');
        var wanted: extern struct { fd: i32, events: i16, revents: i16 } =
            .{ .fd = 2, .events = POLLOUT, .revents = 0 };
        _ = system(.poll, .{ &wanted, 1, 0 });
        if (wanted.revents == POLLOUT)
            _ = system(.write, .{ 2, &line.bytes, @as(isize, @intCast(line.length)) });
    }
};

/// Prints `init: cannot mount /proc: errno 2`.
fn cannot(act: Word, name: Word, returned: i32) void {
    var line: Line = .{};
    line.text("init: cannot ");
    line.text(act);
    line.text(name);
    line.end_with(": errno ", -returned);
}

/// The first word that begins with `/`, with all that follow it.
fn find_program(argv: Words, otherwise: Words) Words {
    var words = argv;
    while (true) {
        words += 1;
        const word = words[0] orelse return otherwise;
        if (word[0] == '/') return words;
    }
}

fn become_program(argv: Words, envp: Words) noreturn {
    _ = system(.setsid, .{});
    _ = system(.ioctl, .{ 0, TIOCSCTTY, 0 });
    block_signals(0);
    const path = argv[0].?;
    const returned = system(.execve, .{ path, argv, envp });
    cannot("run ", path, returned);
    exit(if (returned == -ENOENT) not_found else not_executable);
}

/// Called with the address of what the kernel left on the stack: argc, argv, NULL, envp.
fn init(stack: [*]const usize) callconv(.c) noreturn {
    const words: Words = @ptrCast(stack + 1);
    const envp: Words = @ptrCast(stack + stack[0] + 2);
    if (system(.getpid, .{}) != 1) {
        var line: Line = .{};
        line.text("init: must run as PID 1");
        line.end();
        exit(1);
    }
    // Where a container was started on a terminal, PID 1 controls it; the program is to.
    _ = system(.ioctl, .{ 0, TIOCNOTTY });
    block_signals(~@as(u64, 0));
    // Whoever started this PID 1 may have ignored some.
    for (1..signals + 1) |signal| {
        const default: [4]u64 = @splat(0);
        _ = system(.rt_sigaction, .{ @as(isize, @intCast(signal)), &default, 0, 8 });
    }
    mount("proc", "/proc", linux.MS.NODEV, null);
    mount("sysfs", "/sys", linux.MS.NODEV, null);
    mount("devtmpfs", "/dev", 0, null);
    mount("devpts", "/dev/pts", 0, null);
    mount("tmpfs", "/run", linux.MS.NODEV, "mode=755");
    open_console();
    _ = reboot(.CAD_OFF);

    const otherwise = [_:null]?Word{"/etc/rc"};
    const argv = find_program(words, &otherwise);
    var state: State = .{ .program = system(.fork, .{}) };
    if (state.program == 0) become_program(argv, envp);
    if (state.program < 0) {
        cannot("run ", argv[0].?, state.program);
        state.exit_status = not_executable;
        state.begin_teardown(.POWER_OFF);
    }
    never_wait();
    while (true) {
        state.reap_all();
        state.heed_signal();
    }
}

comptime {
    @export(&init, .{ .name = "init" });
}

export fn _start() callconv(.naked) noreturn {
    asm volatile (
        \\mov %%rsp, %%rdi
        \\call init
    );
}
