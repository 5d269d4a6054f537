/* /init in C, with no C library: picoinit's contract, on system calls of its own.
 *
 * All signals stay blocked, and one loop takes them from the kernel, one by one:
 * so there are no handlers, and nothing that they and the rest could fight over. */

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/poll.h>
#include <linux/reboot.h>
#include <linux/stat.h>
#include <linux/time.h>

enum {
    GRACE = 5,            /* seconds that processes may take to end */
    DEPTH = 16,           /* how deep mounts may be nested to be unmounted */
    NAME_LIMIT = 160,     /* bytes of a name from outside that are printed */
    LINE_SIZE = 256,      /* what any of our lines fits in */
    PATH_SIZE = 4096,
    NOT_EXECUTABLE = 126, /* exit statuses, as shells have them */
    NOT_FOUND = 127,
    EVERYONE = -1,        /* to kill(2): all but PID 1 */
    ANYONE = -1,          /* to wait4(2): any child */
    SIGNALS = 64,         /* as many as there are */
    UMOUNT_NOFOLLOW = 8,  /* not in the headers for programs like this one */
    WNOHANG = 1,
};

/* What has to be remembered. It lives on the stack of init. */
struct state {
    int program;     /* its PID; 0 if it is not running */
    int exit_status; /* how it ended; until it has, "killed" */
    int stopping;    /* the reboot(2) command that ends the teardown; 0 if none is under way */
    int killed;      /* whether the teardown has killed everyone */
};

/* System calls: see syscall(2). They return a negative errno if they fail. */

#define SYSCALL(number, ...) ({                                                      \
    int result;                                                                      \
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), __VA_ARGS__             \
                     : "rcx", "r11", "memory");                                      \
    result;                                                                          \
})

static inline int sys0(int number)
{
    int result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number) : "rcx", "r11", "memory");
    return result;
}

static inline int sys1(int number, long a)
{
    return SYSCALL(number, "D"(a));
}

static inline int sys2(int number, long a, long b)
{
    return SYSCALL(number, "D"(a), "S"(b));
}

static inline int sys3(int number, long a, long b, long c)
{
    return SYSCALL(number, "D"(a), "S"(b), "d"(c));
}

static inline int sys4(int number, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    return SYSCALL(number, "D"(a), "S"(b), "d"(c), "r"(r10));
}

static inline int sys5(int number, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    return SYSCALL(number, "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8));
}

static _Noreturn void exit(int status)
{
    sys1(__NR_exit, status);
    __builtin_unreachable();
}

static int fork(void)
{
    return sys0(__NR_fork);
}

static int wait(int pid, int *status, int options)
{
    return sys4(__NR_wait4, pid, (long)status, options, 0);
}

static int kill(int pid, int signal)
{
    return sys2(__NR_kill, pid, signal);
}

static int open(const char *path, int flags)
{
    return sys3(__NR_open, (long)path, flags, 0);
}

static int close(int descriptor)
{
    return sys1(__NR_close, descriptor);
}

static int mount(const char *kind, const char *target, int flags, const char *data)
{
    return sys5(__NR_mount, (long)kind, (long)target, (long)kind, flags, (long)data);
}

static int reboot(int command)
{
    return sys3(__NR_reboot, (int)LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command);
}

static void block_signals(sigset_t set)
{
    sys4(__NR_rt_sigprocmask, SIG_SETMASK, (long)&set, 0, sizeof set);
}

/* Sends SIGALRM to PID 1, once, in so many seconds; 0 is never. */
static int alarm(int seconds)
{
    return sys1(__NR_alarm, seconds);
}

/* While the kernel is still busy with a timer that just went off, it says that a
 * microsecond is left. */
static int alarm_is_over(void)
{
    struct itimerval timer;
    return sys2(__NR_getitimer, ITIMER_REAL, (long)&timer) < 0 ||
           (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec < 1000);
}

/* Lines. Each is one write(2), so that the lines of several processes never tear. */

/* Adds a text; what could move the cursor, or is not ASCII, as a question mark. */
static char *add(char *end, const char *text)
{
    for (int left = NAME_LIMIT; *text && left; left--, text++)
        *end++ = *text >= ' ' && *text <= '~' ? *text : '?';
    return end;
}

static char *add_number(char *end, unsigned number)
{
    if (number > 9)
        end = add_number(end, number / 10);
    *end++ = '0' + number % 10;
    return end;
}

/* Prints it, if it is taken at once: PID 1 does not wait for a pipe that is full,
 * nor earn a SIGPIPE from one that nobody reads any more. */
static void print(const char *line, const char *end)
{
    struct pollfd wanted = { .fd = 2, .events = POLLOUT };
    sys3(__NR_poll, (long)&wanted, 1, 0);
    if (wanted.revents == POLLOUT)
        sys3(__NR_write, 2, (long)line, end - line);
}

static void print_end(const char *line, char *end, const char *text, int number)
{
    end = add_number(add(end, text), number);
    *end++ = '\n';
    print(line, end);
}

/* Prints `init: cannot mount /proc: errno 2`. */
static void cannot(const char *act, const char *name, int returned)
{
    char line[LINE_SIZE];
    print_end(line, add(add(add(line, "init: cannot "), act), name), ": errno ", -returned);
}

/* Mounts, in the beginning and in the end. */

static void mount_one(const char *kind, const char *target, int flags, const char *data)
{
    struct statx status;
    sys2(__NR_mkdir, (long)target, 0755);
    if (sys5(__NR_statx, AT_FDCWD, (long)target, 0, 0, (long)&status) >= 0 &&
        status.stx_attributes & STATX_ATTR_MOUNT_ROOT)
        return;
    int returned = mount(kind, target, flags | MS_NOSUID | MS_NOEXEC, data);
    /* In a container that may not mount, there is nothing to say of it. */
    if (returned < 0 && returned != -EPERM)
        cannot("mount ", target, returned);
}

static void mount_all(void)
{
    mount_one("proc", "/proc", MS_NODEV, 0);
    mount_one("sysfs", "/sys", MS_NODEV, 0);
    mount_one("devtmpfs", "/dev", 0, 0);
    mount_one("devpts", "/dev/pts", 0, 0);
    mount_one("tmpfs", "/run", MS_NODEV, "mode=755");
}

/* The next byte of a file; 0 at its end. */
static char next(int file)
{
    char byte = 0;
    sys3(__NR_read, file, (long)&byte, 1);
    return byte;
}

/* Takes a line of /proc/mounts, `device target type options 0 0`, in which a
 * space in the target is written \040. Returns whether there was one. */
static int next_target(int list, char *target)
{
    char *end = target, byte;
    int field = 0;
    while ((byte = next(list)) && byte != '\n') {
        if (byte == ' ')
            field++;
        else if (field == 1 && end < target + PATH_SIZE - 1) {
            if (byte == '\\')
                for (int digit = 0; digit < 3; digit++)
                    byte = byte << 3 | (next(list) & 7);
            *end++ = byte;
        }
    }
    *end = 0;
    return byte;
}

/* What cannot be unmounted is made read-only, and so is the root. */
static void unmount_all(void)
{
    char target[PATH_SIZE];
    /* At the limit on descriptors, there would be none for the list. */
    close(0);
    /* The list begins with what was mounted first, which cannot go before what
     * is mounted inside it; so each time, the innermost go. */
    for (int depth = 0; depth < DEPTH; depth++) {
        int list = open("/proc/mounts", O_RDONLY);
        while (next_target(list, target))
            if (sys2(__NR_umount2, (long)target, UMOUNT_NOFOLLOW) < 0)
                mount(target, target, MS_REMOUNT | MS_RDONLY, 0);
        close(list);
    }
}

/* Opens the console on those of the descriptors 0, 1 and 2 that are closed. */
static void open_console(void)
{
    int descriptor;
    do { /* open(2) takes the lowest descriptor that is free */
        descriptor = open("/dev/console", O_RDWR | O_NOCTTY);
        if (descriptor < 0)
            descriptor = open("/dev/null", O_RDWR);
    } while (descriptor >= 0 && descriptor <= 2);
    close(descriptor);
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
    sys2(__NR_dup2, own, 2);
    close(own);
}

/* The first word that begins with `/`, with all that follow it. */
static char **find_program(char **argv, char **otherwise)
{
    do
        if (!*++argv)
            return otherwise;
    while (**argv != '/');
    return argv;
}

static _Noreturn void become_program(char **argv, char **envp)
{
    sys0(__NR_setsid);
    sys3(__NR_ioctl, 0, TIOCSCTTY, 0);
    block_signals(0);
    int error = sys3(__NR_execve, (long)*argv, (long)argv, (long)envp);
    cannot("run ", *argv, error);
    exit(error == -ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

/* The end of everyone, and of the machine. */

/* Sends everyone a signal, and SIGALRM to PID 1 when it should have been heeded. */
static void press(int signal)
{
    int returned = kill(EVERYONE, signal);
    if (returned < 0 && returned != -ESRCH)
        cannot("signal ", "everyone", returned);
    /* Without a timer there can be no time to wait. */
    if (alarm(GRACE) < 0)
        kill(EVERYONE, SIGKILL);
}

static void begin_teardown(struct state *state, int command)
{
    if (state->stopping)
        return;
    state->stopping = command;
    kill(EVERYONE, SIGTERM);
    /* A stopped process has to be woken to see that it is to end. */
    press(SIGCONT);
}

/* Calls reboot(2) in a child process: if the machine cannot be switched off, it
 * ends its caller, and the kernel panics when PID 1 ends. */
static int reboot_is_refused(int command)
{
    int status, child = fork();
    /* One that was killed, as where no memory is left, has said nothing. */
    if (child > 0 && wait(child, &status, 0) == child && !(status & 0x7f))
        return status;
    int is_refused = reboot(command) < 0;
    if (!child)
        exit(is_refused);
    return is_refused;
}

/* If the machine goes on all the same, so does PID 1. */
static void finish(struct state *state)
{
    alarm(0);
    /* Only the PID 1 of a whole machine may do this. What is mounted in a
     * container belongs to whoever made it. */
    if (reboot(LINUX_REBOOT_CMD_CAD_OFF) >= 0) {
        sys0(__NR_sync);
        unmount_all();
    }
    if (reboot_is_refused(state->stopping))
        exit(state->exit_status);
    state->stopping = 0;
    state->killed = 0;
}

static void reap_all(struct state *state)
{
    int status, pid;
    while ((pid = wait(ANYONE, &status, WNOHANG)) > 0) {
        char line[LINE_SIZE];
        char *end = add_number(add(line, "init: pid "), pid);
        int signal = status & 0x7f, code = status >> 8 & 0xff;
        if (signal)
            print_end(line, end, " killed by signal ", signal);
        else
            print_end(line, end, " exited with status ", code);
        if (pid == state->program) {
            state->program = 0;
            state->exit_status = signal ? 128 + signal : code;
            begin_teardown(state, LINUX_REBOOT_CMD_POWER_OFF);
        }
    }
    if (pid == -ECHILD && state->stopping)
        finish(state);
}

/* Waits for a signal, and does what it asks for. */
static void heed_signal(struct state *state)
{
    sigset_t all = -1;
    int signal = sys4(__NR_rt_sigtimedwait, (long)&all, 0, 0, sizeof all);
    if (signal < 0) {
        /* A kernel that refuses this would have PID 1 spin. */
        if (signal != -EINTR)
            sys3(__NR_poll, 0, 0, -1);
        return;
    }
    switch (signal) {
    case SIGCHLD:
        return;
    case SIGUSR1:
        return begin_teardown(state, LINUX_REBOOT_CMD_HALT);
    case SIGUSR2:
        return begin_teardown(state, LINUX_REBOOT_CMD_POWER_OFF);
    case SIGTERM:
    case SIGINT:
        return begin_teardown(state, LINUX_REBOOT_CMD_RESTART);
    case SIGALRM:
        if (!state->stopping)
            break;
        /* Anyone may send it, and then the timer's own is lost, because one that
         * is pending is not sent twice; so the timer itself is asked. */
        if (!alarm_is_over())
            return;
        if (state->killed)
            return finish(state);
        state->killed = 1;
        return press(SIGKILL);
    }
    if (state->program > 0)
        kill(state->program, signal);
}

/* Called by _start with the address of what the kernel left on the stack: argc,
 * argv, NULL, envp. */
__attribute__((used)) static _Noreturn void init(long *stack)
{
    char **argv = (char **)(stack + 1), **envp = argv + *stack + 1;
    char *otherwise[] = { "/etc/rc", 0 };
    struct state state = { .exit_status = 128 + SIGKILL };

    if (sys0(__NR_getpid) != 1) {
        const char line[] = "init: must run as PID 1\n";
        print(line, line + sizeof line - 1);
        exit(1);
    }
    /* Where a container was started on a terminal, PID 1 controls it; the program is to. */
    sys2(__NR_ioctl, 0, TIOCNOTTY);
    block_signals(-1);
    /* Whoever started this PID 1 may have ignored some. */
    for (int signal = 1; signal <= SIGNALS; signal++) {
        struct sigaction by_default = { 0 };
        sys4(__NR_rt_sigaction, signal, (long)&by_default, 0, sizeof(sigset_t));
    }
    mount_all();
    open_console();
    reboot(LINUX_REBOOT_CMD_CAD_OFF);

    argv = find_program(argv, otherwise);
    state.program = fork();
    if (!state.program)
        become_program(argv, envp);
    if (state.program < 0) {
        cannot("run ", *argv, state.program);
        state.exit_status = NOT_EXECUTABLE;
        begin_teardown(&state, LINUX_REBOOT_CMD_POWER_OFF);
    }
    never_wait();
    for (;;) {
        reap_all(&state);
        heed_signal(&state);
    }
}

__asm__(".globl _start\n"
        "_start:\n"
        "    mov %rsp, %rdi\n"
        "    call init\n");
