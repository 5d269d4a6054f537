// /init in C++: picoinit's contract.
//
// All signals stay blocked, and one loop takes them from the kernel, one by one: so there
// are no handlers, and nothing ever interrupts PID 1. Of the standard library, what stands
// in headers is used; a stream would bring locales along, and a string the heap.

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr pid_t first_pid = 1;         // the PID of PID 1
constexpr pid_t everyone = -1;         // to kill(2): all but PID 1
constexpr unsigned long grace = 500;   // hundredths of a second that processes may take to exit
constexpr int turn = 100;              // children that are reaped before signals have their turn
constexpr int depth = 16;              // how deep mounts may be nested to be unmounted
constexpr size_t buffer_size = 4000;   // bytes of a line or a path
constexpr size_t name_end = 200;       // where a name from outside ends in a line
constexpr int not_executable = 126;    // exit statuses, as shells have them
constexpr int not_found = 127;

// Bytes in a row, on the stack.
class Buffer {
  public:
    // Adds a byte; what does not fit is dropped.
    void push(char byte)
    {
        if (length < bytes.size())
            bytes[length++] = byte;
    }

    void push_number(unsigned number)
    {
        if (number > 9)
            push_number(number / 10);
        push(char('0' + number % 10));
    }

    // Adds a name from outside. What could move the cursor, or is not ASCII, is shown as a
    // question mark.
    void push_name(const char *name)
    {
        for (; *name && length < name_end; name++)
            push(*name >= ' ' && *name <= '~' ? *name : '?');
    }

    void clear() { length = 0; }

    std::string_view view() const { return {bytes.data(), length}; }

    // As a C string; nullptr if there is no room for the 0 at its end.
    const char *c_str()
    {
        if (length == bytes.size())
            return nullptr;
        bytes[length] = 0;
        return bytes.data();
    }

  private:
    size_t length = 0;
    std::array<char, buffer_size> bytes; // set as they come
};

// Prints a text, with a name in place of an `@`, and a number in place of each `#`: by one
// write(2), so that the lines of several processes never tear; and only if it is taken at
// once. PID 1 does not wait for a pipe that is full, nor earn a SIGPIPE from a pipe that
// nobody reads any more.
void say(std::string_view text, const char *name = "", int number = 0, int next = 0)
{
    Buffer line;
    for (char byte : text)
        if (byte == '@') {
            line.push_name(name);
        } else if (byte == '#') {
            line.push_number(unsigned(number));
            number = next;
        } else {
            line.push(byte);
        }
    pollfd wanted{STDERR_FILENO, POLLOUT, 0};
    poll(&wanted, 1, 0);
    auto bytes = line.view();
    if (wanted.revents == POLLOUT && write(STDERR_FILENO, bytes.data(), bytes.size()) < 0)
        return; // there is nobody to tell
}

// Signals.

sigset_t all_signals()
{
    sigset_t all;
    sigfillset(&all);
    return all;
}

// From now on no signal is lost, and none interrupts: they wait for take_signal.
void block_all()
{
    sigset_t all = all_signals();
    sigprocmask(SIG_SETMASK, &all, nullptr);
}

// How a program expects to be started.
void unblock_all()
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Whoever started PID 1 may have ignored some, which the program would inherit; and while
// SIGCHLD is ignored, nobody learns how a child exited.
void reset_all()
{
    for (int number = 1; number < NSIG; number++)
        std::signal(number, SIG_DFL);
}

constexpr timespec now{0, 0};
constexpr timespec tenth{0, 100'000'000};

// Sleeps until a signal comes, but no longer than the timeout, and takes it.
std::optional<int> take_signal(const timespec *timeout = nullptr)
{
    sigset_t all = all_signals();
    int signal = sigtimedwait(&all, nullptr, timeout);
    if (signal > 0)
        return signal;
    // Where the kernel refuses this, PID 1 looks now and then instead of spinning.
    if (errno != EAGAIN)
        poll(nullptr, 0, 100);
    return {};
}

// Makes Ctrl-Alt-Del a SIGINT to PID 1, instead of an instant reset. The kernel lets only
// the PID 1 of a whole machine do so: returns whether this is one.
bool catch_ctrl_alt_del()
{
    return reboot(RB_DISABLE_CAD) == 0;
}

// Mounts, at the start and at the end.

void mount_one(const char *kind, const char *target, unsigned long flags,
               const char *data = nullptr)
{
    mkdir(target, 0755); // it may be there
    // Where PID 1 may not mount, or something is mounted, there is nothing to say of it.
    if (mount(kind, target, kind, flags | MS_NOSUID | MS_NOEXEC, data) < 0 &&
        errno != EPERM && errno != EBUSY)
        say("init: cannot mount @: errno #\n", target, errno);
}

// If there is a /proc already, whoever started PID 1, such as a container engine, has
// prepared the rest, too.
void mount_all()
{
    if (access("/proc/mounts", F_OK) == 0)
        return;
    mount_one("proc", "/proc", MS_NODEV);
    mount_one("sysfs", "/sys", MS_NODEV);
    mount_one("devtmpfs", "/dev", 0);
    mount_one("devpts", "/dev/pts", 0);
    // Unless it is told otherwise, a tmpfs is open to everyone.
    mount_one("tmpfs", "/run", MS_NODEV, "mode=755");
}

// The next byte of standard input; 0 at its end.
char next_byte()
{
    char byte;
    return read(STDIN_FILENO, &byte, 1) == 1 ? byte : 0;
}

// A space in a name is written as `\040`: the byte that three octal digits stand for.
char next_escaped()
{
    int byte = 0;
    for (int digit = 0; digit < 3; digit++)
        byte = byte << 3 | (next_byte() & 7);
    return char(byte);
}

// Unmounts what is mounted on a word of /proc/mounts, if it begins with a `/`. Few words do
// that are no mount point; and to unmount such is an error, and no more.
void unmount_one(Buffer &word)
{
    const char *path = word.c_str();
    // If there is none, it was too long for a path.
    if (path && *path == '/' && umount2(path, UMOUNT_NOFOLLOW) < 0)
        mount(nullptr, path, nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
}

// Unmounts everything, so that nothing written is lost. What cannot be unmounted, such as
// the root, is made read-only, which serves as well.
void unmount_all()
{
    // A file system in use by another that is mounted on it cannot go, and comes first in
    // the list: so each pass takes at least one level.
    for (int pass = 0; pass < depth; pass++) {
        // The list becomes standard input. At the limit on descriptors, there is no other.
        close(STDIN_FILENO);
        open("/proc/mounts", O_RDONLY);
        Buffer word;
        while (char byte = next_byte())
            if (byte == ' ' || byte == '\n') {
                unmount_one(word);
                word.clear();
            } else {
                word.push(byte == '\\' ? next_escaped() : byte);
            }
    }
}

// The console.

// Opens the console on those of the descriptors 0, 1 and 2 that are closed; or /dev/null,
// so that no file that a program opens later becomes its standard error by accident.
void open_descriptors()
{
    int descriptor;
    do { // open(2) takes the lowest descriptor that is free
        descriptor = open("/dev/console", O_RDWR | O_NOCTTY);
        if (descriptor < 0)
            descriptor = open("/dev/null", O_RDWR | O_NOCTTY);
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    close(descriptor);
}

// Gives this process, which is to become the program, the terminal: so that Ctrl-C reaches
// it, and job control works.
void take_control()
{
    // Where PID 1 was started on a terminal, as in a container, this process is to be in its
    // foreground. (The kernel takes a PID that leads no process group yet.)
    if (tcsetpgrp(STDIN_FILENO, getpid()) == 0) {
        setpgid(0, 0);
    } else {
        setsid();
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    }
}

// Opens standard error once more, for PID 1 alone, so that it never waits for a terminal
// that nobody reads: poll(2) says that such a terminal can be written to as long as it has
// room for a part of a line. Not if it is a file on a disk, which keeps nobody waiting, and
// would get an offset of its own.
void never_wait()
{
    if (lseek(STDERR_FILENO, 0, SEEK_CUR) >= 0)
        return;
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    if (own > STDERR_FILENO) {
        dup2(own, STDERR_FILENO);
        close(own);
    }
}

// The program.

// The first word that begins with `/`, with all that follow it: the kernel passes what it
// did not understand of its command line, such as `splash`, first.
char **find_program(char **argv, char **otherwise)
{
    while (*++argv)
        if (**argv == '/')
            return argv;
    return otherwise;
}

// Says why, and returns what counts as the program's exit status.
int cannot_run(const char *path, int error)
{
    say("init: cannot run @: errno #\n", path, error);
    return error == ENOENT ? not_found : not_executable;
}

[[noreturn]] void become_program(char **argv)
{
    take_control();
    unblock_all();
    execv(*argv, argv);
    _exit(cannot_run(*argv, errno));
}

// Hundredths of a second since some time in the past. Where the kernel refuses to say, this
// is the highest number, and so any time is over.
unsigned long hundredths()
{
    return static_cast<unsigned long>(times(nullptr));
}

// What PID 1 remembers, and its life once everything is prepared.
class Init {
  public:
    [[noreturn]] void run(char **argv)
    {
        start_program(argv);
        never_wait();
        for (;;) {
            if (request)
                stop(*request);
            auto signal = take_signal();
            // Whatever signal came: no flood of other signals can keep PID 1 from reaping.
            reap_all();
            if (signal)
                heed(*signal);
        }
    }

  private:
    pid_t program = 0;               // the PID of the program; 0 once it was reaped
    int exit_status = 128 + SIGKILL; // how it exited; until it was reaped, "killed"
    std::optional<int> request;      // what reboot(2) is to do, if somebody asked PID 1 to stop

    // If that fails, PID 1 has no purpose, and stops as if the program had exited.
    void start_program(char **argv)
    {
        program = _Fork(); // fork(2), and none of what a C library does for threads
        if (program == 0)
            become_program(argv);
        if (program < 0)
            program_exited(cannot_run(*argv, errno));
    }

    void program_exited(int status)
    {
        program = 0;
        exit_status = status;
        request = RB_POWER_OFF;
    }

    // Reaps the children that have exited, and says how each did. Returns whether any are
    // left.
    bool reap_all()
    {
        for (int reaped = 0; reaped < turn; reaped++) {
            int status;
            pid_t pid = waitpid(-1, &status, WNOHANG);
            if (pid <= 0)
                return pid == 0;
            int code = WEXITSTATUS(status);
            if (WIFSIGNALED(status)) {
                say("init: pid # killed by signal #\n", "", pid, WTERMSIG(status));
                code = 128 + WTERMSIG(status); // as shells have it
            } else {
                say("init: pid # exited with status #\n", "", pid, code);
            }
            if (pid == program)
                program_exited(code);
        }
        // There may be more. They are next, after the signals that ask PID 1 to stop: of
        // those that are pending, the kernel hands out the lowest number first.
        kill(first_pid, SIGCHLD);
        return true;
    }

    // Does what a signal asks for.
    void heed(int signal)
    {
        switch (signal) {
        case SIGCHLD:
            break;
        case SIGUSR1:
            request = RB_HALT_SYSTEM;
            break;
        case SIGUSR2:
            request = RB_POWER_OFF;
            break;
        case SIGTERM:
        case SIGINT: // Ctrl-Alt-Del
            request = RB_AUTOBOOT;
            break;
        default:
            if (program > 0)
                kill(program, signal);
        }
    }

    // Asks every process to exit, waits until all have, and kills those that have not.
    void stop_everyone()
    {
        for (int signal : {SIGTERM, SIGKILL}) {
            kill(everyone, signal);
            // A process that was stopped has to be woken to see that it is asked to exit.
            kill(everyone, SIGCONT);
            unsigned long deadline = hundredths() + grace;
            while (reap_all() && hundredths() < deadline)
                take_signal(&tenth);
        }
        // What else was asked for in the meantime is being done.
        while (take_signal(&now))
            ;
    }

    // Stops every process, then the machine. Returns if the machine goes on all the same.
    void stop(int command)
    {
        stop_everyone();
        // What is mounted in a container belongs to whoever made it.
        if (!catch_ctrl_alt_del())
            _exit(exit_status);
        // The disks may take as long as they need, so a child process sees to them, while
        // PID 1 goes on listening. And where the machine cannot be switched off, reboot(2)
        // exits; if PID 1 did, the kernel would panic.
        exit_status = 1;
        pid_t child = _Fork();
        if (child > 0) {
            program = child; // so its exit status is what counts
            // Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks.
            while (program && take_signal().value_or(SIGCHLD) == SIGCHLD)
                reap_all();
        } else {
            sync();
            unmount_all();
        }
        // The child gets here; and PID 1, if it could have no child, if the child was killed,
        // as where no memory is left, or if it does not wait any longer.
        if (exit_status != 0)
            reboot(command);
        if (child == 0)
            _exit(0);
        program = 0; // if the child is still busy, it is nobody's program
        request.reset();
    }
};

} // namespace

int main(int, char **argv)
{
    block_all();
    // Not `!=`: where system calls are filtered, even this one may fail.
    if (getpid() > first_pid) {
        say("init: must run as PID 1\n");
        return 1;
    }
    reset_all();
    mount_all();
    open_descriptors();
    catch_ctrl_alt_del();

    char name[] = "/etc/rc";
    std::array<char *, 2> otherwise{name, nullptr};
    Init().run(find_program(argv, otherwise.data()));
}
