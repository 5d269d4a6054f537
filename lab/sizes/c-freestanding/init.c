/* /init in C, with no C library: picoinit's contract, on system calls of its own.
 *
 * All signals are blocked, and PID 1 takes them from the kernel, one by one: so
 * there are no handlers, and nothing ever interrupts it. */

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/poll.h>
#include <linux/reboot.h>
#include <linux/time.h>

enum {
    GRACE = 500,          /* hundredths of a second that processes may take to exit */
    TURN = 100,           /* children that are reaped before signals have their turn */
    DEPTH = 16,           /* how deep mounts may be nested to be unmounted */
    NAME_END = 200,       /* where a name from outside ends in a line */
    BUFFER_SIZE = 4000,   /* a little less than a page of the stack */
    NOT_EXECUTABLE = 126, /* exit statuses, as shells have them */
    NOT_FOUND = 127,
    KILLED = 128,         /* and the signal is added */
    PID_1 = 1,
    ALL = -1,             /* to kill(2): every process but PID 1 */
    ANY = -1,             /* to wait4(2): any child */
    SIGNALS = 64,         /* as many as there are */
    UMOUNT_NOFOLLOW = 8,  /* not in the headers for programs like this one */
    F_OK = 0,
    WNOHANG = 1,
};

/* What PID 1 remembers. It is on the stack of init. */
struct state {
    int program;     /* its PID, until it has been reaped; then 0 */
    int exit_status; /* how it exited; until it has been reaped, "killed" */
    int request;     /* what reboot(2) is to do, if the program has exited; else 0 */
};

/* System calls: see syscall(2). They return a negative errno if they fail. These are
 * macros, because a function would make all arguments 64 bits wide, and of most of
 * them the kernel looks at 32. */

#define SYSCALL(number, ...) ({                                                    \
    long returned;                                                                 \
    __asm__ volatile("syscall" : "=a"(returned) : "a"(number), ##__VA_ARGS__       \
                     : "rcx", "r11", "memory");                                    \
    returned;                                                                      \
})
#define sys0(number) SYSCALL(number)
#define sys1(number, a) SYSCALL(number, "D"(a))
#define sys2(number, a, b) SYSCALL(number, "D"(a), "S"(b))
#define sys3(number, a, b, c) SYSCALL(number, "D"(a), "S"(b), "d"(c))
#define sys4(number, a, b, c, d) ({                                                \
    register __typeof__((d) + 0) r10 __asm__("r10") = d;                           \
    SYSCALL(number, "D"(a), "S"(b), "d"(c), "r"(r10));                             \
})
#define sys5(number, a, b, c, d, e) ({                                             \
    register __typeof__((d) + 0) r10 __asm__("r10") = d;                           \
    register __typeof__((e) + 0) r8 __asm__("r8") = e;                             \
    SYSCALL(number, "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8));                    \
})

/* For functions that the compilers would inline, and that are shorter to call. */
#define CALLED __attribute__((noinline))

/* If the kernel refuses even that, the process is killed for an instruction that
 * does not exist. */
CALLED static _Noreturn void exit(int status)
{
    sys1(__NR_exit, status);
    __builtin_trap();
}

static int getpid(void)
{
    return sys0(__NR_getpid);
}

static int fork(void)
{
    return sys0(__NR_fork);
}

static int kill(int pid, int signal)
{
    return sys2(__NR_kill, pid, signal);
}

static int access(const char *path, int mode)
{
    return sys2(__NR_access, path, mode);
}

static int unmount(const char *path, int flags)
{
    return sys2(__NR_umount2, path, flags);
}

static int set_foreground(int terminal, int group)
{
    return sys3(__NR_ioctl, terminal, TIOCSPGRP, &group);
}

static int open(const char *path, int flags)
{
    return sys2(__NR_open, path, flags);
}

static void close(int descriptor)
{
    sys1(__NR_close, descriptor);
}

CALLED static int reboot(int command)
{
    return sys3(__NR_reboot, (int)LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command);
}

/* Hundredths of a second since some time in the past; where the kernel refuses to
 * say, ULONG_MAX or a little less, so that any deadline is over at once. */
static unsigned long hundredths(void)
{
    return sys1(__NR_times, 0);
}

/* Bytes in a row, on the stack. */

struct buffer {
    unsigned length;
    char bytes[BUFFER_SIZE];
};

/* Adds a byte; what does not fit is dropped. */
CALLED static void push(struct buffer *buffer, char byte)
{
    if (buffer->length < BUFFER_SIZE)
        buffer->bytes[buffer->length++] = byte;
}

static void push_number(struct buffer *buffer, unsigned number)
{
    unsigned rest = number / 10, digit = number % 10;
    if (rest)
        push_number(buffer, rest);
    push(buffer, '0' + digit);
}

/* Adds a name from outside. What could move the cursor or begin an escape
 * sequence is shown as a question mark, and so is all that is not ASCII. */
static void push_name(struct buffer *buffer, const char *name)
{
    for (; *name; name++)
        if (buffer->length < NAME_END)
            push(buffer, *name >= ' ' && *name <= '~' ? *name : '?');
}

/* Prints a line, with `name` in place of an `@`, and a number in place of each
 * `#`. It is one write(2), so that the lines of several processes never tear.
 *
 * If it is not taken at once, nothing is printed: PID 1 does not wait for a pipe
 * that is full, nor earn a SIGPIPE from a pipe that nobody reads any more. */
static void say(const char *text, const char *name, int number, int next)
{
    struct buffer line;
    line.length = 0;
    for (; *text; text++)
        switch (*text) {
        case '@':
            push_name(&line, name);
            break;
        case '#':
            push_number(&line, number);
            number = next;
            break;
        default:
            push(&line, *text);
        }
    struct pollfd wanted = { .fd = 2, .events = POLLOUT };
    sys3(__NR_poll, &wanted, 1, 0);
    if (wanted.revents == POLLOUT)
        sys3(__NR_write, 2, line.bytes, line.length);
}

/* Signals. */

CALLED static void block_signals(sigset_t set)
{
    sys4(__NR_rt_sigprocmask, SIG_SETMASK, &set, 0, sizeof set);
}

/* Gives every signal its default disposition. The process that started PID 1 may
 * have ignored some; and while SIGCHLD is ignored, nobody learns how a child exited. */
static void reset_signals(void)
{
    struct sigaction by_default = { 0 };
    for (int signal = SIGNALS; signal; signal--)
        sys4(__NR_rt_sigaction, signal, &by_default, 0, sizeof(sigset_t));
}

/* A tenth of a second: the longest that PID 1 sleeps while a deadline runs. gcc would
 * align this to 16 bytes. */
static const _Alignas(long) struct timespec tenth = { 0, 100000000 };

/* Sleeps until a signal is pending, but no longer than `timeout`, and takes it.
 * Returns a negative number if there was none. */
static int take_signal(const struct timespec *timeout)
{
    sigset_t all = -1;
    int signal = sys4(__NR_rt_sigtimedwait, &all, 0, timeout, sizeof all);
    /* If the kernel refuses this, PID 1 looks now and then instead of spinning. */
    if (signal < 0 && signal != -EAGAIN)
        sys2(__NR_nanosleep, &tenth, 0);
    return signal;
}

/* Mounts, in the beginning and in the end. */

static void mount_one(const char *target, const char *kind, int flags, const char *data)
{
    /* The folder may be there; and if it cannot be made, mount(2) will say so. */
    sys2(__NR_mkdir, target, 0755);
    /* The source is a mere name for these: the same again. */
    int returned = sys5(__NR_mount, kind, target, kind, flags | MS_NOSUID | MS_NOEXEC, data);
    /* Where PID 1 may not mount, or something is mounted, there is nothing to say of it. */
    if (returned < 0 && returned != -EPERM && returned != -EBUSY)
        say("init: cannot mount @: errno #\n", target, -returned, 0);
}

/* If there is a /proc already, whoever started PID 1, such as a container
 * engine, has prepared the rest, too. */
static void mount_all(void)
{
    if (access("/proc/mounts", F_OK) >= 0)
        return;
    mount_one("/proc", "proc", MS_NODEV, 0);
    mount_one("/sys", "sysfs", MS_NODEV, 0);
    mount_one("/dev", "devtmpfs", 0, 0);
    mount_one("/dev/pts", "devpts", 0, 0);
    mount_one("/run", "tmpfs", MS_NODEV, "mode=755");
}

/* The next byte of descriptor 0; a 0 at the end of the file, and if it cannot be read. */
CALLED static unsigned char next_byte(void)
{
    unsigned char byte = 0;
    sys3(__NR_read, 0, &byte, 1);
    return byte;
}

/* Unmounts a word of /proc/mounts, if it begins with a slash. These are the mount
 * points, and some words that are not, as /dev/vda: to unmount such a word is an
 * error, and no more. What cannot be unmounted is made read-only, for which the kernel
 * asks for no source: the same again. */
static void try_unmount(struct buffer *word)
{
    /* A word that does not fit is too long for a path. */
    if (word->length == BUFFER_SIZE)
        return;
    word->bytes[word->length] = 0;
    if (word->bytes[0] == '/' && unmount(word->bytes, UMOUNT_NOFOLLOW) < 0)
        sys5(__NR_mount, word->bytes, word->bytes, 0, MS_REMOUNT | MS_RDONLY, 0);
}

/* Unmounts everything, so that nothing written is lost. What cannot be unmounted,
 * such as the root, is made read-only, which serves as well. */
static void unmount_all(void)
{
    /* A file system that has another mounted on it cannot go, and comes first in the
     * list: so each turn takes at least one level. */
    for (int turn = 0; turn < DEPTH; turn++) {
        /* The list becomes descriptor 0. At the limit on descriptors, there is no other. */
        close(0);
        open("/proc/mounts", O_RDONLY);
        struct buffer word;
        word.length = 0;
        for (unsigned char byte; (byte = next_byte());)
            if (byte == ' ' || byte == '\n') {
                try_unmount(&word);
                word.length = 0;
            } else {
                /* A space in a name is written as \040, three octal digits. */
                if (byte == '\\') {
                    unsigned octal = 0;
                    for (int digit = 0; digit < 3; digit++)
                        octal = octal << 3 | (next_byte() & 7);
                    byte = octal;
                }
                push(&word, byte);
            }
    }
}

/* The console. */

/* Opens it on those of the descriptors 0, 1 and 2 that are closed; or /dev/null if
 * there is no console. */
static void open_descriptors(void)
{
    int opened;
    do { /* open(2) takes the lowest descriptor that is free */
        opened = open("/dev/console", O_RDWR | O_NOCTTY);
        if (opened < 0)
            opened = open("/dev/null", O_RDWR | O_NOCTTY);
    } while (opened >= 0 && opened <= 2);
    close(opened);
}

/* Gives the program, which this process is to become, the terminal: so that
 * Ctrl-C reaches it, and job control works. */
static void take_control(void)
{
    /* Where PID 1 was started on a terminal, as in a container, this process is
     * to be in its foreground. */
    if (set_foreground(0, getpid()) >= 0)
        sys2(__NR_setpgid, 0, 0);
    else {
        /* A session of its own, with the console as its controlling terminal. */
        sys0(__NR_setsid);
        sys3(__NR_ioctl, 0, TIOCSCTTY, 0);
    }
}

/* Opens standard error once more, for PID 1 alone, so that it never waits for a
 * terminal that nobody reads: poll(2) says that such a terminal can be written
 * to as long as it has room for a part of a line. Not if it is a file on a disk,
 * which keeps nobody waiting, and would get an offset of its own. */
static void never_wait(void)
{
    if (sys3(__NR_lseek, 2, 0, SEEK_CUR) >= 0)
        return;
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    if (own > 2) {
        sys2(__NR_dup2, own, 2);
        close(own);
    }
}

/* The program. */

/* The first word that begins with a slash, with all that follow it. */
static char **find_program(char **argv, char **otherwise)
{
    do
        if (!*++argv)
            return otherwise;
    while (**argv != '/');
    return argv;
}

/* Says why it cannot be executed. Returns what counts as its exit status. */
CALLED static int cannot_run(int returned, const char *path)
{
    say("init: cannot run @: errno #\n", path, -returned, 0);
    return returned == -ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

/* Starts it. If that fails, PID 1 stops as if it had exited. */
static void start_program(struct state *state, char **argv, char **envp)
{
    int child = fork();
    if (!child) { /* this process is to become the program */
        take_control();
        block_signals(0);
        exit(cannot_run(sys3(__NR_execve, *argv, argv, envp), *argv));
    }
    if (child > 0) {
        state->program = child;
    } else {
        state->exit_status = cannot_run(child, *argv);
        state->request = LINUX_REBOOT_CMD_POWER_OFF;
    }
}

/* Reaping. */

/* Reaps the children that have exited. Returns a negative number if none are left. */
static int reap_all(struct state *state)
{
    for (int turn = 0; turn < TURN; turn++) {
        int status, pid = sys4(__NR_wait4, ANY, &status, WNOHANG, 0);
        if (pid <= 0)
            return pid; /* 0: some are left, and none of them has exited */
        const char *text = "init: pid # killed by signal #\n";
        int number = status & 0x7f, exit_status = KILLED + number;
        if (number == 0) {
            text = "init: pid # exited with status #\n";
            number = exit_status = status >> 8 & 0xff;
        }
        if (pid == state->program) {
            state->program = 0;
            state->exit_status = exit_status;
            state->request = LINUX_REBOOT_CMD_POWER_OFF;
        }
        say(text, 0, pid, number);
    }
    /* There may be more. They are next, after the signals that ask PID 1 to stop: of
     * those that are pending, the kernel hands out the one with the lowest number first. */
    kill(PID_1, SIGCHLD);
    return 0;
}

/* The teardown. */

/* Asks every process to exit, waits until all have, and kills those that have not. */
static void stop_processes(struct state *state)
{
    for (int signal = SIGTERM;; signal = SIGKILL) {
        kill(ALL, signal);
        /* A process that was stopped has to be woken to see that it is asked to exit. */
        kill(ALL, SIGCONT);
        unsigned long deadline = hundredths() + GRACE;
        while (reap_all(state) >= 0 && hundredths() < deadline)
            take_signal(&tenth);
        if (signal == SIGKILL)
            break;
    }
    /* What else was asked for in the meantime is being done. */
    while (take_signal(&(struct timespec){0}) > 0)
        ;
}

/* Stops every process, then the machine. Returns if the machine goes on all the same. */
static void stop(struct state *state, int command)
{
    stop_processes(state);
    /* Only the PID 1 of the whole machine is allowed to do this. The PID 1 of a part
     * of it, such as a container, leaves disks and machine to their owner. */
    if (reboot(LINUX_REBOOT_CMD_CAD_OFF) < 0)
        exit(state->exit_status);
    /* The disks may take as long as they need, so a child process sees to them,
     * while PID 1 goes on listening. And reboot(2) itself exits where the machine
     * cannot be switched off; if PID 1 did, the kernel would panic. */
    state->exit_status = 1;
    int signal, child = fork();
    if (child > 0) {
        /* Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks. */
        state->program = child;
        while (state->program && ((signal = take_signal(0)) < 0 || signal == SIGCHLD))
            reap_all(state);
    } else {
        sys0(__NR_sync);
        unmount_all();
    }
    /* The child gets here; and PID 1, if it could have no child, if the child was
     * killed, or if it does not wait any longer. Not if the child has been here. */
    if (state->exit_status)
        reboot(command);
    if (!child)
        exit(0);
    /* If the child is still busy, it is nobody's program. */
    state->program = 0;
    state->request = 0;
}

/* The life of PID 1: takes signals until one asks it to stop, or the program has exited.
 * Returns what reboot(2) is to do. */
static int next_request(struct state *state)
{
    while (!state->request) {
        /* Here PID 1 sleeps. */
        int signal = take_signal(0);
        /* Whatever signal came: no flood of other signals can keep PID 1 from reaping. */
        reap_all(state);
        if (signal == SIGUSR1)
            return LINUX_REBOOT_CMD_HALT;
        if (signal == SIGUSR2)
            return LINUX_REBOOT_CMD_POWER_OFF;
        if (signal == SIGTERM || signal == SIGINT) /* Ctrl-Alt-Del */
            return LINUX_REBOOT_CMD_RESTART;
        if (signal > 0 && signal != SIGCHLD && state->program)
            kill(state->program, signal);
    }
    return state->request;
}

/* Called by _start with the address of what the kernel left on the stack: argc,
 * argv, NULL, envp. */
__attribute__((used)) static _Noreturn void init(long *stack)
{
    /* From here on, no signal is lost: they stay pending until the loop takes them. */
    block_signals(-1);
    /* Not `!=`: where system calls are filtered, even this one may fail. */
    if (getpid() > PID_1) {
        say("init: must run as PID 1\n", 0, 0, 0);
        exit(1);
    }
    reset_signals();
    mount_all();
    open_descriptors();
    /* Makes Ctrl-Alt-Del a SIGINT to PID 1, instead of an instant reset. */
    reboot(LINUX_REBOOT_CMD_CAD_OFF);

    struct state state;
    state.program = 0;
    state.exit_status = KILLED + SIGKILL;
    state.request = 0;
    char **argv = (char **)(stack + 1), **envp = argv + *stack + 1;
    char *otherwise[] = { "/etc/rc", 0 };
    start_program(&state, find_program(argv, otherwise), envp);
    /* The program runs, in a process of its own. From now on, PID 1 does not wait for
     * anybody to read what it prints. */
    never_wait();

    for (;;)
        stop(&state, next_request(&state));
}

__asm__(".globl _start\n"
        "_start:\n"
        "    mov %rsp, %rdi\n"
        "    call init\n");
