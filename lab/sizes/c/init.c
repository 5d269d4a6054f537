/* /init in C, with a C library: picoinit's contract.
 *
 * All signals stay blocked, and one loop takes them from the kernel, one by one: so
 * there are no handlers, and nothing ever interrupts PID 1. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    INIT = 1,             /* the PID of PID 1 */
    EVERYONE = -1,        /* to kill(2): all but PID 1 */
    GRACE = 500,          /* hundredths of a second that processes may take to exit */
    TURN = 100,           /* children that are reaped before the signals have their turn */
    DEPTH = 16,           /* how deep mounts may be nested to be unmounted */
    SIZE = 4000,          /* bytes of a line or a path */
    NAME_END = 200,       /* where a name from outside ends in a line */
    NOT_EXECUTABLE = 126, /* exit statuses, as shells have them */
    NOT_FOUND = 127,
};

static pid_t program; /* the PID of the program; 0 once it was reaped */
static int exit_status = 128 + SIGKILL; /* how it exited; until it was reaped, "killed" */
static int request; /* what reboot(2) is to do; 0 if nobody has asked PID 1 to stop */

/* Lines. */

/* Bytes in a row. */
struct buffer {
    size_t length;
    char bytes[SIZE];
};

/* Adds a byte; what does not fit is dropped. */
static void push(struct buffer *buffer, char byte)
{
    if (buffer->length < SIZE)
        buffer->bytes[buffer->length++] = byte;
}

static void push_number(struct buffer *buffer, unsigned number)
{
    if (number > 9)
        push_number(buffer, number / 10);
    push(buffer, '0' + number % 10);
}

/* Adds a name from outside. What could move the cursor, or is not ASCII, is shown as a
 * question mark. */
static void push_name(struct buffer *buffer, const char *name)
{
    for (; *name && buffer->length < NAME_END; name++)
        push(buffer, *name >= ' ' && *name <= '~' ? *name : '?');
}

/* Prints a text, with a name in place of an `@`, and a number in place of each `#`: by
 * one write(2), so that the lines of several processes never tear; and only if it is
 * taken at once. PID 1 does not wait for a pipe that is full, nor earn a SIGPIPE from a
 * pipe that nobody reads any more. Not printf(3), which would bring along how to print
 * floating point. */
static void say(const char *text, const char *name, int number, int next)
{
    struct buffer line;
    line.length = 0;
    for (; *text; text++)
        if (*text == '@') {
            push_name(&line, name);
        } else if (*text == '#') {
            push_number(&line, number);
            number = next;
        } else {
            push(&line, *text);
        }
    struct pollfd wanted = { .fd = STDERR_FILENO, .events = POLLOUT };
    poll(&wanted, 1, 0);
    if (wanted.revents == POLLOUT && write(STDERR_FILENO, line.bytes, line.length) < 0)
        return; /* there is nobody to tell */
}

/* Signals. */

static sigset_t all_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    return all;
}

/* From now on no signal is lost, and none interrupts: they wait for take_signal. */
static void block_all(void)
{
    sigset_t all = all_signals();
    sigprocmask(SIG_SETMASK, &all, NULL);
}

/* How a program expects to be started. */
static void unblock_all(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Whoever started PID 1 may have ignored some, which the program would inherit; and
 * while SIGCHLD is ignored, nobody learns how a child exited. */
static void reset_all(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

static const struct timespec now = { 0, 0 }, tenth = { 0, 100 * 1000 * 1000 };

/* Sleeps until a signal comes, but no longer than a timeout that is not NULL, and takes
 * it. Returns its number; -1 if there was none. */
static int take_signal(const struct timespec *timeout)
{
    sigset_t all = all_signals();
    int signal = sigtimedwait(&all, NULL, timeout);
    /* If the kernel refuses this, PID 1 looks now and then instead of spinning. */
    if (signal < 0 && errno != EAGAIN)
        poll(NULL, 0, 100);
    return signal;
}

/* Makes Ctrl-Alt-Del a SIGINT to PID 1, instead of an instant reset. The kernel lets
 * only the PID 1 of a whole machine do so: returns whether this is one. */
static bool catch_ctrl_alt_del(void)
{
    return reboot(RB_DISABLE_CAD) == 0;
}

/* Mounts, at the start and at the end. */

static void mount_one(const char *kind, const char *target, unsigned long flags, const char *data)
{
    mkdir(target, 0755); /* it may be there */
    /* Where PID 1 may not mount, or something is mounted, there is nothing to say of it. */
    if (mount(kind, target, kind, flags | MS_NOSUID | MS_NOEXEC, data) < 0 &&
        errno != EPERM && errno != EBUSY)
        say("init: cannot mount @: errno #\n", target, errno, 0);
}

/* If there is a /proc already, whoever started PID 1, such as a container engine, has
 * prepared the rest, too. */
static void mount_all(void)
{
    if (access("/proc/mounts", F_OK) == 0)
        return;
    mount_one("proc", "/proc", MS_NODEV, NULL);
    mount_one("sysfs", "/sys", MS_NODEV, NULL);
    mount_one("devtmpfs", "/dev", 0, NULL);
    mount_one("devpts", "/dev/pts", 0, NULL);
    /* Unless it is told otherwise, a tmpfs is open to everyone. */
    mount_one("tmpfs", "/run", MS_NODEV, "mode=755");
}

/* The next byte of standard input; 0 at its end. */
static char next_byte(void)
{
    char byte;
    return read(STDIN_FILENO, &byte, 1) == 1 ? byte : 0;
}

/* A space in a name is written as `\040`: the byte that three octal digits stand for. */
static char next_escaped(void)
{
    int byte = 0;
    for (int digit = 0; digit < 3; digit++)
        byte = byte << 3 | (next_byte() & 7);
    return byte;
}

/* Unmounts what is mounted on a word of /proc/mounts, if it begins with a `/`. Few words
 * do that are no mount point; and to unmount such is an error, and no more. */
static void unmount_one(struct buffer *word)
{
    if (word->length == SIZE)
        return; /* too long for a path */
    word->bytes[word->length] = 0;
    if (*word->bytes == '/' && umount2(word->bytes, UMOUNT_NOFOLLOW) < 0)
        mount(NULL, word->bytes, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

/* Unmounts everything, so that nothing written is lost. What cannot be unmounted, such
 * as the root, is made read-only, which serves as well. */
static void unmount_all(void)
{
    struct buffer word;
    /* A file system in use by another that is mounted on it cannot go, and comes first in
     * the list: so each turn takes at least one level. */
    for (int turn = 0; turn < DEPTH; turn++) {
        /* The list becomes standard input. At the limit on descriptors, there is no other. */
        close(STDIN_FILENO);
        open("/proc/mounts", O_RDONLY);
        word.length = 0;
        char byte;
        while ((byte = next_byte()))
            if (byte == ' ' || byte == '\n') {
                unmount_one(&word);
                word.length = 0;
            } else {
                push(&word, byte == '\\' ? next_escaped() : byte);
            }
    }
}

/* The console. */

/* Opens the console on those of the descriptors 0, 1 and 2 that are closed; or /dev/null,
 * so that no file that a program opens later becomes its standard error by accident. */
static void open_descriptors(void)
{
    int descriptor;
    do { /* open(2) takes the lowest descriptor that is free */
        descriptor = open("/dev/console", O_RDWR | O_NOCTTY);
        if (descriptor < 0)
            descriptor = open("/dev/null", O_RDWR | O_NOCTTY);
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    close(descriptor);
}

/* Gives this process, which is to become the program, the terminal: so that Ctrl-C
 * reaches it, and job control works. */
static void take_control(void)
{
    /* Where PID 1 was started on a terminal, as in a container, this process is to be in
     * its foreground. (The kernel takes a PID that leads no process group yet.) */
    if (tcsetpgrp(STDIN_FILENO, getpid()) == 0) {
        setpgid(0, 0);
    } else {
        setsid();
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    }
}

/* Opens standard error once more, for PID 1 alone, so that it never waits for a terminal
 * that nobody reads: poll(2) says that such a terminal can be written to as long as it
 * has room for a part of a line. Not if it is a file on a disk, which keeps nobody
 * waiting, and would get an offset of its own. */
static void never_wait(void)
{
    if (lseek(STDERR_FILENO, 0, SEEK_CUR) >= 0)
        return;
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    if (own > STDERR_FILENO) {
        dup2(own, STDERR_FILENO);
        close(own);
    }
}

/* The program. */

/* The first word that begins with `/`, with all that follow it: the kernel passes what it
 * did not understand of its command line, such as `splash`, first. */
static char **find_program(char **argv, char **otherwise)
{
    while (*++argv)
        if (**argv == '/')
            return argv;
    return otherwise;
}

/* Says why, and returns what counts as the program's exit status. */
static int cannot_run(const char *path, int error)
{
    say("init: cannot run @: errno #\n", path, error, 0);
    return error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

static _Noreturn void become_program(char **argv)
{
    take_control();
    unblock_all();
    execv(*argv, argv);
    _exit(cannot_run(*argv, errno));
}

/* If that fails, PID 1 has no purpose, and stops as if the program had exited. */
static void start_program(char **argv)
{
    program = _Fork(); /* fork(2), and none of what a C library does for threads */
    if (program == 0)
        become_program(argv);
    if (program < 0) {
        program = 0;
        exit_status = cannot_run(*argv, errno);
        request = RB_POWER_OFF;
    }
}

/* Reaping. */

/* Reaps the children that have exited, and says how each did. Returns whether any are
 * left. */
static bool reap_all(void)
{
    for (int turn = 0; turn < TURN; turn++) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return pid == 0;
        const char *text = "init: pid # exited with status #\n";
        int number = WEXITSTATUS(status), code = number;
        if (WIFSIGNALED(status)) {
            text = "init: pid # killed by signal #\n";
            number = WTERMSIG(status);
            code = 128 + number; /* as shells have it */
        }
        if (pid == program) {
            program = 0;
            exit_status = code;
            request = RB_POWER_OFF;
        }
        say(text, NULL, pid, number);
    }
    /* There may be more. They are next, after the signals that ask PID 1 to stop: of
     * those that are pending, the kernel hands out the lowest number first. */
    kill(INIT, SIGCHLD);
    return true;
}

/* The teardown. */

/* Hundredths of a second since some time in the past. Where the kernel refuses to say,
 * this is the highest number, and so any time is over. */
static unsigned long hundredths(void)
{
    return times(NULL);
}

/* Asks every process to exit, waits until all have, and kills those that have not. */
static void stop_everyone(void)
{
    static const int signals[] = { SIGTERM, SIGKILL };
    for (int i = 0; i < 2; i++) {
        kill(EVERYONE, signals[i]);
        /* A process that was stopped has to be woken to see that it is asked to exit. */
        kill(EVERYONE, SIGCONT);
        unsigned long deadline = hundredths() + GRACE;
        while (reap_all() && hundredths() < deadline)
            take_signal(&tenth);
    }
    /* What else was asked for in the meantime is being done. */
    while (take_signal(&now) > 0)
        ;
}

/* Stops every process, then the machine. Returns if the machine goes on all the same. */
static void stop(int command)
{
    stop_everyone();
    /* What is mounted in a container belongs to whoever made it. */
    if (!catch_ctrl_alt_del())
        _exit(exit_status);
    /* The disks may take as long as they need, so a child process sees to them, while
     * PID 1 goes on listening. And where the machine cannot be switched off, reboot(2)
     * exits; if PID 1 did, the kernel would panic. */
    exit_status = 1;
    pid_t child = _Fork();
    if (child > 0) {
        program = child; /* so its exit status is what counts */
        /* Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks. */
        while (program) {
            int signal = take_signal(NULL);
            if (signal > 0 && signal != SIGCHLD)
                break;
            reap_all();
        }
    } else {
        sync();
        unmount_all();
    }
    /* The child gets here; and PID 1, if it could have no child, if the child was killed, as
     * where no memory is left, or if it does not wait any longer. */
    if (exit_status != 0)
        reboot(command);
    if (child == 0)
        _exit(0);
    program = 0; /* if the child is still busy, it is nobody's program */
    request = 0;
}

int main(int argc, char **argv)
{
    char *otherwise[] = { "/etc/rc", NULL };
    (void)argc;

    block_all();
    /* Not `!= INIT`: where system calls are filtered, even this one may fail. */
    if (getpid() > INIT) {
        say("init: must run as PID 1\n", NULL, 0, 0);
        return 1;
    }
    reset_all();
    mount_all();
    open_descriptors();
    catch_ctrl_alt_del();
    start_program(find_program(argv, otherwise));
    never_wait();

    for (;;) {
        if (request)
            stop(request);
        int signal = take_signal(NULL);
        /* Whatever signal came: no flood of other signals can keep PID 1 from reaping. */
        reap_all();
        switch (signal) {
        case -1:
        case SIGCHLD:
            break;
        case SIGUSR1:
            request = RB_HALT_SYSTEM;
            break;
        case SIGUSR2:
            request = RB_POWER_OFF;
            break;
        case SIGTERM:
        case SIGINT: /* Ctrl-Alt-Del */
            request = RB_AUTOBOOT;
            break;
        default:
            if (program > 0)
                kill(program, signal);
        }
    }
}
