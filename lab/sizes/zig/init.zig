//! /init in Zig: picoinit's contract.
//!
//! All signals are blocked, from the first instruction on, and one loop takes them from the
//! kernel, one by one.

const std = @import("std");
const linux = std.os.linux;

/// How long processes may take to exit once they were told to, in hundredths of a second; and
/// again once they were killed.
const grace = 500;
/// How long PID 1 sleeps at the most while that time runs, in nanoseconds.
const tenth = 100_000_000;
/// How many children are reaped before the signals have their turn: else a flood of orphans
/// could keep PID 1 from ever hearing that it is to stop.
const turn = 100;
/// How deep mounts may be nested to be unmounted.
const depth = 16;
/// How many bytes a buffer has room for: a little less than a page of the stack.
const size = 4000;
/// Where a name from outside ends in a line, if it is longer than that.
const name_end = 200;
/// To kill(2): every process but PID 1.
const all = -1;
/// To wait4(2): any child.
const any = -1;
/// Exit statuses, as shells have them.
const not_executable = 126;
const not_found = 127;
/// This and the signal.
const killed = 128;

/// Numbers of the kernel's.
const EPERM = 1;
const ENOENT = 2;
const EAGAIN = 11;
const EBUSY = 16;
const SIGINT = 2;
const SIGKILL = 9;
const SIGUSR1 = 10;
const SIGUSR2 = 12;
const SIGTERM = 15;
const SIGCHLD = 17;
const SIGCONT = 18;
const SIG_SETMASK = 2;
const signals = 64;
const UMOUNT_NOFOLLOW = 8;
const WNOHANG = 1;
const POLLOUT = 4;
const TIOCSCTTY = 0x540e;
const TIOCSPGRP = 0x5410;
const F_OK = 0;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_APPEND = 0o2000;
const O_NONBLOCK = 0o4000;
const SEEK_CUR = 1;
const MAGIC1 = 0xfee1dead;
const MAGIC2 = 0x28121969;
/// What the kernel wants to be told with each set of signals: how many bytes it has.
const set_size = 8;
const Command = linux.LINUX_REBOOT.CMD;

const Word = [*:0]const u8;
const Words = [*:null]const ?Word;

/// A system call, which returns a negative errno if it fails.
inline fn system(number: linux.SYS, arguments: anytype) i32 {
    return @truncate(system_wide(number, arguments));
}

/// The same, with all 64 bits of what it returns.
inline fn system_wide(number: linux.SYS, arguments: anytype) isize {
    var words: [5]usize = @splat(0);
    inline for (arguments, 0..) |argument, i| words[i] = number_of(argument);
    return @bitCast(switch (arguments.len) {
        0 => linux.syscall0(number),
        1 => linux.syscall1(number, words[0]),
        2 => linux.syscall2(number, words[0], words[1]),
        3 => linux.syscall3(number, words[0], words[1], words[2]),
        4 => linux.syscall4(number, words[0], words[1], words[2], words[3]),
        else => linux.syscall5(number, words[0], words[1], words[2], words[3], words[4]),
    });
}

inline fn number_of(argument: anytype) usize {
    return switch (@typeInfo(@TypeOf(argument))) {
        .pointer, .optional => @intFromPtr(argument),
        .comptime_int => if (argument < 0) @bitCast(@as(isize, argument)) else argument,
        // Where the kernel takes a number of 32 bits, it ignores the rest.
        else => if (@TypeOf(argument) == i32) @as(u32, @bitCast(argument)) else argument,
    };
}

// The first instruction. It calls `init` with the address of what the kernel left on the stack;
// by a call, because then the stack is aligned as the ABI wants it to be where a function begins.
export fn _start() callconv(.naked) noreturn {
    asm volatile (
        \\mov %%rsp, %%rdi
        \\call init
    );
}

comptime {
    @export(&init, .{ .name = "init" });
}

/// The life of PID 1. At `stack` are argc, argv, NULL, envp, NULL.
fn init(stack: [*]const usize) callconv(.c) noreturn {
    // From here on, no signal is lost and none interrupts: those that come stay pending until
    // the loop below takes them.
    block_signals(~@as(u64, 0));
    // Not `!= 1`: where system calls are filtered, even this one may fail.
    if (system(.getpid, .{}) > 1) {
        say("init: must run as PID 1\n", null, 0, 0);
        exit(1);
    }
    reset_signals();
    mount_all();
    open_console();
    _ = catch_ctrl_alt_del();

    var state = start_program(stack);
    never_wait();

    while (true) {
        if (state.request != .CAD_OFF) state.stop(state.request);
        // Here PID 1 sleeps.
        const signal = take_signal(null);
        // Whatever signal came: no flood of other signals can keep PID 1 from reaping.
        _ = state.reap_all();
        switch (signal) {
            SIGUSR1 => state.request = .HALT,
            SIGUSR2 => state.request = .POWER_OFF,
            // SIGINT is Ctrl-Alt-Del.
            SIGTERM, SIGINT => state.request = .RESTART,
            else => pass_on(state.program, signal),
        }
    }
}

/// Passes a signal on to the program, if it is running: but not 0, which is none, and SIGCHLD,
/// which is for PID 1. (In the loop, these two would make its `switch` a table of addresses.)
fn pass_on(program: i32, signal: i32) void {
    if (signal != 0 and signal != SIGCHLD and program != 0) kill(program, signal);
}

/// The process that started PID 1 may have ignored some.
fn reset_signals() void {
    // struct sigaction: a handler, flags, a restorer, a set of signals.
    var default: [4]u64 = @splat(0);
    var signal: i32 = signals;
    while (signal > 0) : (signal -= 1) {
        _ = system(.rt_sigaction, .{ signal, &default, 0, set_size });
    }
}

/// If there is a /proc already, whoever started PID 1, such as a container engine, has prepared
/// the rest, too.
fn mount_all() void {
    if (system(.access, .{ "/proc/mounts", F_OK }) >= 0) return;
    mount_one("proc", "/proc", linux.MS.NODEV, null);
    mount_one("sysfs", "/sys", linux.MS.NODEV, null);
    mount_one("devtmpfs", "/dev", 0, null);
    mount_one("devpts", "/dev/pts", 0, null);
    // Unless it is told otherwise, a tmpfs is open to everyone.
    mount_one("tmpfs", "/run", linux.MS.NODEV, "mode=755");
}

fn mount_one(kind: Word, target: Word, flags: u32, data: ?Word) void {
    // It may be there; and if it cannot be made, mount(2) will say so.
    _ = system(.mkdir, .{ target, 0o755 });
    const all_flags = flags | linux.MS.NOSUID | linux.MS.NOEXEC;
    switch (-system(.mount, .{ kind, target, kind, all_flags, data })) {
        // Where PID 1 may not mount, or something is mounted, there is nothing to say of it.
        0, EPERM, EBUSY => {},
        else => |errno| say("init: cannot mount @: errno #\n", target, errno, 0),
    }
}

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
fn open_console() void {
    while (true) {
        // open(2) takes the lowest descriptor that is free.
        var opened = open("/dev/console", O_RDWR | O_NOCTTY);
        if (opened < 0) opened = open("/dev/null", O_RDWR | O_NOCTTY);
        if (opened < 0 or opened > 2) return close(opened);
    }
}

/// Makes Ctrl-Alt-Del a SIGINT to PID 1. Returns whether it did: only the PID 1 of a whole
/// machine may.
inline fn catch_ctrl_alt_del() bool {
    return reboot(.CAD_OFF) >= 0;
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for a terminal that
/// nobody reads: poll(2) says that such a terminal can be written to as long as it has room for
/// a part of a line. Not if it is a file on a disk, which keeps nobody waiting, and would get an
/// offset of its own.
fn never_wait() void {
    if (system_wide(.lseek, .{ 2, 0, SEEK_CUR }) >= 0) return;
    const own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    if (own > 2) {
        _ = system(.dup2, .{ own, 2 });
        close(own);
    }
}

/// The first word of argv that begins with `/`, apart from PID 1's own name, with all that
/// follow it.
fn find_program(argv: Words, otherwise: Words) Words {
    var words = argv;
    while (true) {
        words += 1;
        const word = words[0] orelse return otherwise;
        if (word[0] == '/') return words;
    }
}

/// Starts the program. If that fails, PID 1 stops as if the program had exited.
fn start_program(stack: [*]const usize) State {
    const words: Words = @ptrCast(stack + 1);
    const envp: Words = @ptrCast(stack + stack[0] + 2);
    const default = [_:null]?Word{"/etc/rc"};
    const argv = find_program(words, &default);
    const child = system(.fork, .{});
    if (child == 0) become_program(argv, envp);
    if (child > 0) return .{ .program = child };
    return .{ .exit_status = cannot_run(argv[0].?, child), .request = .POWER_OFF };
}

/// Turns this process, a child of PID 1, into the program.
inline fn become_program(argv: Words, envp: Words) noreturn {
    // Where PID 1 was started on a terminal, as in a container, the program is to be in its
    // foreground; else it gets a session of its own, and the console with it.
    const pid = system(.getpid, .{});
    if (system(.ioctl, .{ 0, TIOCSPGRP, &pid }) >= 0) {
        _ = system(.setpgid, .{ 0, 0 });
    } else {
        _ = system(.setsid, .{});
        _ = system(.ioctl, .{ 0, TIOCSCTTY, 0 });
    }
    block_signals(0);
    const path = argv[0].?;
    exit(cannot_run(path, system(.execve, .{ path, argv, envp })));
}

/// Says why; `returned` is an errno, negated. Returns what counts as the exit status.
noinline fn cannot_run(path: Word, returned: i32) i32 {
    say("init: cannot run @: errno #\n", path, -returned, 0);
    return if (returned == -ENOENT) not_found else not_executable;
}

/// What has to be remembered.
const State = struct {
    /// The program's PID; 0 if it is not running.
    program: i32 = 0,
    /// How the program exited; until it has been reaped, as if it had been killed.
    exit_status: i32 = killed + SIGKILL,
    /// What reboot(2) is to do: the program has exited, or somebody asked PID 1 to stop. CAD_OFF
    /// if not: no command that stops anything.
    request: Command = .CAD_OFF,

    /// Reaps the children that have exited. Returns whether any are left.
    noinline fn reap_all(state: *State) bool {
        for (0..turn) |_| {
            var status: i32 = 0;
            const pid = system(.wait4, .{ any, &status, WNOHANG, 0 });
            if (pid <= 0) return pid == 0;
            const signal = status & 0x7f;
            const code = status >> 8 & 0xff;
            if (pid == state.program) state.* = .{
                .exit_status = if (signal == 0) code else killed + signal,
                .request = .POWER_OFF,
            };
            const text: Word, const number = switch (signal) {
                0 => .{ "init: pid # exited with status #\n", code },
                else => .{ "init: pid # killed by signal #\n", signal },
            };
            say(text, null, pid, number);
        }
        // There may be more. They are next, after the signals that ask PID 1 to stop: of those
        // that are pending, the kernel hands out the one with the lowest number first.
        kill(1, SIGCHLD);
        return true;
    }

    /// Stops every process, then the machine. Returns if the machine goes on all the same.
    fn stop(state: *State, command: Command) void {
        state.stop_processes();
        // What is mounted in a container belongs to whoever made it.
        if (!catch_ctrl_alt_del()) exit(state.exit_status);
        // The disks may take as long as they need, so a child process sees to them, while PID 1
        // goes on listening. And reboot(2) itself exits where the machine cannot be switched
        // off; if PID 1 did, the kernel would panic.
        state.exit_status = 1;
        const child = system(.fork, .{});
        if (child > 0) {
            state.program = child;
            // Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks.
            while (state.program != 0) : (_ = state.reap_all()) switch (take_signal(null)) {
                0, SIGCHLD => {},
                else => break,
            };
        } else {
            _ = system(.sync, .{});
            unmount_all();
        }
        // The child gets here; and PID 1, if it could have no child, if the child was killed, or
        // if it does not wait any longer. Not if the child has been here.
        if (state.exit_status != 0) _ = reboot(command);
        if (child == 0) exit(0);
        // If the child is still busy, it is nobody's program.
        state.program = 0;
        state.request = .CAD_OFF;
    }

    /// Asks every process to exit, waits until all have, and kills those that have not.
    fn stop_processes(state: *State) void {
        var signal: i32 = SIGTERM;
        while (true) : (signal = SIGKILL) {
            kill(all, signal);
            // A process that was stopped has to be woken to see that it is asked to exit.
            kill(all, SIGCONT);
            const deadline = hundredths() +% grace;
            while (state.reap_all() and hundredths() < deadline) _ = take_signal_within(tenth);
            if (signal == SIGKILL) break;
        }
        // What else was asked for in the meantime is being done.
        while (take_signal_within(0) > 0) {}
    }
};

/// What cannot be unmounted is made read-only, and so is the root.
fn unmount_all() void {
    // The list begins with what was mounted first, which cannot go before what is mounted
    // inside it; so each time, the innermost go.
    var turns: u32 = depth;
    while (turns > 0) : (turns -= 1) {
        // The list becomes descriptor 0. At the limit on descriptors, there is no other.
        close(0);
        _ = open("/proc/mounts", O_RDONLY);
        var word: Buffer = undefined;
        word.length = 0;
        while (true) switch (next()) {
            0 => break,
            ' ', '\n' => {
                // A word that does not fit is too long for a path.
                if (word.as_word()) |path| unmount_one(path);
                word.length = 0;
            },
            // A space in a name is written as `\040`, three octal digits.
            '\\' => {
                var byte: u8 = 0;
                for (0..3) |_| byte = byte << 3 | (next() & 7);
                word.push(byte);
            },
            else => |byte| word.push(byte),
        };
    }
}

/// What begins with `/` is a mount point, or unmounting it is an error and no more.
noinline fn unmount_one(path: Word) void {
    if (path[0] == '/' and system(.umount2, .{ path, UMOUNT_NOFOLLOW }) < 0)
        _ = system(.mount, .{ path, path, path, linux.MS.REMOUNT | linux.MS.RDONLY, 0 });
}

/// The next byte of descriptor 0; 0 at the end.
noinline fn next() u8 {
    var byte: u8 = 0;
    _ = system(.read, .{ 0, &byte, 1 });
    return byte;
}

/// Bytes in a row, on the stack. The length comes first, where instructions reach it with a
/// short distance.
const Buffer = extern struct {
    length: u32,
    bytes: [size]u8,

    /// Adds a byte; what does not fit is dropped.
    noinline fn push(buffer: *Buffer, byte: u8) void {
        if (buffer.length < size) {
            buffer.bytes[buffer.length] = byte;
            buffer.length += 1;
        }
    }

    /// Adds a number in decimal.
    fn push_number(buffer: *Buffer, number: u32) void {
        if (number > 9) buffer.push_number(number / 10);
        buffer.push('0' + @as(u8, @intCast(number % 10)));
    }

    /// Adds a name from outside. Whatever could move the cursor or begin an escape sequence is
    /// shown as `?`, and so is all that is not ASCII.
    fn push_name(buffer: *Buffer, name: Word) void {
        var rest = name;
        while (rest[0] != 0) : (rest += 1) {
            if (buffer.length < name_end) buffer.push(switch (rest[0]) {
                ' '...'~' => |byte| byte,
                else => '?',
            });
        }
    }

    /// The bytes so far as a C string, if there is room for the 0 at its end.
    fn as_word(buffer: *Buffer) ?Word {
        if (buffer.length == size) return null;
        buffer.bytes[buffer.length] = 0;
        return @ptrCast(&buffer.bytes);
    }
};

/// Prints a text to standard error, with `name` in place of an `@`, and a number in place of each
/// `#`. It is one write(2), so that the lines of several processes never tear. If it would have
/// to wait, because that is a pipe that is full or a terminal that was stopped, it prints nothing;
/// nor if nobody reads it any more: write(2) would send a SIGPIPE.
noinline fn say(text: Word, name: ?Word, number: i32, next_number: i32) void {
    var line: Buffer = undefined;
    line.length = 0;
    var rest = text;
    var value = number;
    while (rest[0] != 0) : (rest += 1) switch (rest[0]) {
        '@' => if (name) |known| line.push_name(known),
        '#' => {
            line.push_number(@bitCast(value));
            value = next_number;
        },
        else => |byte| line.push(byte),
    };
    var wanted: extern struct { fd: i32, events: i16, revents: i16 } =
        .{ .fd = 2, .events = POLLOUT, .revents = 0 };
    _ = system(.poll, .{ &wanted, 1, 0 });
    if (wanted.revents == POLLOUT) _ = system(.write, .{ 2, &line.bytes, line.length });
}

noinline fn exit(status: i32) noreturn {
    while (true) _ = system(.exit, .{status});
}

inline fn kill(pid: i32, signal: i32) void {
    _ = system(.kill, .{ pid, signal });
}

/// Makes `set` the set of blocked signals.
noinline fn block_signals(set: u64) void {
    _ = system(.rt_sigprocmask, .{ SIG_SETMASK, &set, 0, set_size });
}

/// Sleeps until any signal is pending, but no longer than `timeout`, and takes it, the one with
/// the lowest number first. Returns 0 if none came.
noinline fn take_signal(timeout: ?*const linux.timespec) i32 {
    const set = ~@as(u64, 0);
    const signal = system(.rt_sigtimedwait, .{ &set, 0, timeout, set_size });
    if (signal > 0) return signal;
    // If the kernel refuses this, PID 1 looks now and then instead of spinning.
    if (signal != -EAGAIN) _ = system(.poll, .{ 0, 0, 100 });
    return 0;
}

/// The same with a number of nanoseconds, less than a second.
fn take_signal_within(nanoseconds: isize) i32 {
    return take_signal(&.{ .sec = 0, .nsec = nanoseconds });
}

/// Hundredths of a second since some time in the past; a number next to the greatest where the
/// kernel refuses to say.
inline fn hundredths() u64 {
    return @bitCast(system_wide(.times, .{0}));
}

noinline fn reboot(command: Command) i32 {
    return system(.reboot, .{ MAGIC1, MAGIC2, @backingInt(command) });
}

noinline fn open(path: Word, flags: i32) i32 {
    return system(.open, .{ path, flags, 0 });
}

inline fn close(descriptor: i32) void {
    _ = system(.close, .{descriptor});
}
