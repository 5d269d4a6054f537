/* /init in C, with a C library: picoinit's contract.
 *
 * All signals stay blocked, and one loop takes them from the kernel, one by one. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GRACE = 5,      /* seconds that processes may take to end */
    DEPTH = 16,     /* how deep mounts may be nested to be unmounted */
    EVERYONE = -1,  /* to kill(2): all but PID 1 */
    NOT_EXECUTABLE = 126, /* exit statuses, as shells have them */
    NOT_FOUND = 127,
    ATTRIBUTE_MOUNT_ROOT = 0x2000,
};

static pid_t program; /* 0 if it is not running */
static int exit_status = 128 + SIGKILL; /* how it ended; until it has, "killed" */
static int stopping; /* the reboot(2) command that ends the teardown; 0 if none is under way */
static int killed;   /* whether the teardown has killed everyone */

/* Prints a line by one write(2), so that the lines of several processes never
 * tear; if it is taken at once: PID 1 does not wait for a pipe that is full, nor
 * earn a SIGPIPE from one that nobody reads any more. */
__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    struct pollfd wanted = { .fd = STDERR_FILENO, .events = POLLOUT };
    poll(&wanted, 1, 0);
    if (wanted.revents == POLLOUT && write(STDERR_FILENO, line, length) < 0)
        return; /* there is nobody to tell */
}

/* Says why something could not be done to a name from outside. What could move the
 * cursor, or is not ASCII, is shown as a question mark. */
static void cannot(const char *act, const char *name, int error)
{
    char harmless[161];
    size_t length = 0;
    for (; name[length] && length < sizeof harmless - 1; length++)
        harmless[length] = name[length] >= ' ' && name[length] <= '~' ? name[length] : '?';
    harmless[length] = 0;
    print("init: cannot %s %s: errno %d\n", act, harmless, error);
}

/* The kernel's struct statx; musl has no statx(2) yet. */
struct status {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint64_t others[30];
};

static void mount_one(const char *kind, const char *target, unsigned long flags, const char *data)
{
    struct status status;
    mkdir(target, 0755);
    if (syscall(SYS_statx, AT_FDCWD, target, 0, 0, &status) == 0 &&
        status.attributes & ATTRIBUTE_MOUNT_ROOT)
        return;
    /* In a container that may not mount, there is nothing to say of it. */
    if (mount(kind, target, kind, flags | MS_NOSUID | MS_NOEXEC, data) < 0 && errno != EPERM)
        cannot("mount", target, errno);
}

/* In /proc/mounts, a space in a name is written \040. Not getmntent(3), because
 * musl's forgets that. */
static void unescape(char *name)
{
    char *to = name;
    for (; *name; to++)
        if (*name == '\\') {
            char digits[4] = { name[1], name[2], name[3], 0 };
            *to = strtol(digits, NULL, 8);
            name += 4;
        } else {
            *to = *name++;
        }
    *to = 0;
}

/* What cannot be unmounted is made read-only, and so is the root. */
static void unmount_all(void)
{
    static char target[PATH_MAX];
    /* At the limit on descriptors, there would be none for the list. */
    close(STDIN_FILENO);
    /* The list begins with what was mounted first, which cannot go before what
     * is mounted inside it; so each time, the innermost go. */
    for (int depth = 0; depth < DEPTH; depth++) {
        FILE *list = fopen("/proc/mounts", "r");
        if (!list)
            return;
        while (fscanf(list, "%*s %4095s %*[^\n]", target) == 1) {
            unescape(target);
            if (umount2(target, UMOUNT_NOFOLLOW) < 0)
                mount(target, target, "", MS_REMOUNT | MS_RDONLY, NULL);
        }
        fclose(list);
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
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    close(descriptor);
}

/* Opens standard error once more, for PID 1 alone, so that it never waits for a
 * terminal that nobody reads: poll(2) says that such a terminal can be written
 * to as long as it has room for a part of a line. Not if it is a file on a disk,
 * which keeps nobody waiting, and would get an offset of its own. */
static void never_wait(void)
{
    if (lseek(STDERR_FILENO, 0, SEEK_CUR) >= 0)
        return;
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    dup2(own, STDERR_FILENO);
    close(own);
}

/* The first word that begins with `/`, with all that follow it. */
static char **find_program(char **argv, char **otherwise)
{
    while (*++argv)
        if (**argv == '/')
            return argv;
    return otherwise;
}

static _Noreturn void become_program(char **argv)
{
    sigset_t none;
    sigemptyset(&none);
    setsid();
    ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(*argv, argv);
    int error = errno;
    cannot("run", *argv, error);
    _exit(error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

/* Sends everyone a signal, and SIGALRM to PID 1 when it should have been heeded. */
static void press(int signal)
{
    if (kill(EVERYONE, signal) < 0 && errno != ESRCH)
        cannot("signal", "everyone", errno);
    alarm(GRACE);
}

/* While the kernel is still busy with a timer that just went off, it says that a
 * microsecond is left. */
static int alarm_is_over(void)
{
    struct itimerval timer;
    return getitimer(ITIMER_REAL, &timer) < 0 ||
           (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec < 1000);
}

static void begin_teardown(int command)
{
    if (stopping)
        return;
    stopping = command;
    kill(EVERYONE, SIGTERM);
    /* A stopped process has to be woken to see that it is to end. */
    press(SIGCONT);
}

/* Calls reboot(2) in a child process: if the machine cannot be switched off, it
 * ends its caller, and the kernel panics when PID 1 ends. */
static int reboot_is_refused(int command)
{
    int status;
    pid_t child = fork();
    /* One that was killed, as where no memory is left, has said nothing. */
    if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status))
        return WEXITSTATUS(status);
    int is_refused = reboot(command) < 0;
    if (child == 0)
        _exit(is_refused);
    return is_refused;
}

/* If the machine goes on all the same, so does PID 1. */
static void finish(void)
{
    alarm(0);
    /* Only the PID 1 of a whole machine may do this. What is mounted in a
     * container belongs to whoever made it. */
    if (reboot(RB_DISABLE_CAD) == 0) {
        sync();
        unmount_all();
    }
    if (reboot_is_refused(stopping))
        _exit(exit_status);
    stopping = killed = 0;
}

static void reap_all(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        if (signal)
            print("init: pid %d killed by signal %d\n", pid, signal);
        else
            print("init: pid %d exited with status %d\n", pid, WEXITSTATUS(status));
        if (pid == program) {
            program = 0;
            exit_status = signal ? 128 + signal : WEXITSTATUS(status);
            begin_teardown(RB_POWER_OFF);
        }
    }
    if (pid < 0 && errno == ECHILD && stopping)
        finish();
}

/* Waits for a signal, and does what it asks for. */
static void heed_signal(const sigset_t *all)
{
    int signal = sigwaitinfo(all, NULL);
    if (signal < 0) {
        /* A kernel that refuses this would have PID 1 spin. */
        if (errno != EINTR)
            pause();
        return;
    }
    switch (signal) {
    case SIGCHLD:
        return;
    case SIGUSR1:
        return begin_teardown(RB_HALT_SYSTEM);
    case SIGUSR2:
        return begin_teardown(RB_POWER_OFF);
    case SIGTERM:
    case SIGINT:
        return begin_teardown(RB_AUTOBOOT);
    case SIGALRM:
        if (!stopping)
            break;
        /* Anyone may send it, and then the timer's own is lost, because one that
         * is pending is not sent twice; so the timer itself is asked. */
        if (!alarm_is_over())
            return;
        if (killed)
            return finish();
        killed = 1;
        return press(SIGKILL);
    }
    if (program > 0)
        kill(program, signal);
}

int main(int argc, char **argv)
{
    char *otherwise[] = { "/etc/rc", NULL };
    sigset_t all;
    (void)argc;

    if (getpid() != 1) {
        print("init: must run as PID 1\n");
        return 1;
    }
    /* Where a container was started on a terminal, PID 1 controls it; the program is to. */
    ioctl(STDIN_FILENO, TIOCNOTTY);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    /* Whoever started this PID 1 may have ignored some. */
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    mount_one("proc", "/proc", MS_NODEV, NULL);
    mount_one("sysfs", "/sys", MS_NODEV, NULL);
    mount_one("devtmpfs", "/dev", 0, NULL);
    mount_one("devpts", "/dev/pts", 0, NULL);
    mount_one("tmpfs", "/run", MS_NODEV, "mode=755");
    open_console();
    reboot(RB_DISABLE_CAD);

    argv = find_program(argv, otherwise);
    program = fork();
    if (program == 0)
        become_program(argv);
    if (program < 0) {
        cannot("run", *argv, errno);
        exit_status = NOT_EXECUTABLE;
        begin_teardown(RB_POWER_OFF);
    }
    never_wait();
    for (;;) {
        reap_all();
        heed_signal(&all);
    }
}
