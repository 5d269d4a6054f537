// /init in C++: picoinit's contract.
//
// All signals stay blocked, and one loop takes them from the kernel, one by one.

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

namespace {

constexpr int grace = 5;            // seconds that processes may take to end
constexpr int depth = 16;           // how deep mounts may be nested to be unmounted
constexpr size_t name_limit = 160;  // bytes of a name from outside that are printed
constexpr pid_t everyone = -1;      // to kill(2): all but PID 1
constexpr int not_executable = 126; // exit statuses, as shells have them
constexpr int not_found = 127;

// Prints a line by one write(2), so that the lines of several processes never
// tear; if it is taken at once: PID 1 does not wait for a pipe that is full, nor
// earn a SIGPIPE from one that nobody reads any more.
void print(std::string line)
{
    line = "init: " + line + '\n';
    pollfd wanted{STDERR_FILENO, POLLOUT, 0};
    poll(&wanted, 1, 0);
    if (wanted.revents == POLLOUT && write(STDERR_FILENO, line.data(), line.size()) < 0)
        return; // there is nobody to tell
}

// Says why something could not be done to a name from outside. What could move
// the cursor, or is not ASCII, is shown as a question mark.
void cannot(std::string_view act, std::string_view name, int error)
{
    std::string harmless(name.substr(0, name_limit));
    std::replace_if(
        harmless.begin(), harmless.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    print("cannot " + std::string(act) + ' ' + harmless + ": errno " + std::to_string(error));
}

void mount_one(const char *kind, const char *target, unsigned long flags,
               const char *data = nullptr)
{
    struct statx status;
    mkdir(target, 0755);
    if (statx(AT_FDCWD, target, 0, 0, &status) == 0 &&
        status.stx_attributes & STATX_ATTR_MOUNT_ROOT)
        return;
    // In a container that may not mount, there is nothing to say of it.
    if (mount(kind, target, kind, flags | MS_NOSUID | MS_NOEXEC, data) < 0 && errno != EPERM)
        cannot("mount", target, errno);
}

// In /proc/mounts, a space in a name is written \040.
std::string unescape(const std::string &name)
{
    std::string plain;
    for (size_t at = 0; at < name.size(); at++)
        if (name[at] == '\\' && at + 3 < name.size()) {
            plain += char((name[at + 1] & 7) << 6 | (name[at + 2] & 7) << 3 | (name[at + 3] & 7));
            at += 3;
        } else {
            plain += name[at];
        }
    return plain;
}

// What cannot be unmounted is made read-only, and so is the root.
void unmount_all()
{
    // At the limit on descriptors, there would be none for the list.
    close(STDIN_FILENO);
    // The list begins with what was mounted first, which cannot go before what
    // is mounted inside it; so each time, the innermost go.
    for (int pass = 0; pass < depth; pass++) {
        std::ifstream list("/proc/mounts");
        std::string device, target;
        while (list >> device >> target) {
            list.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
            target = unescape(target);
            if (umount2(target.c_str(), UMOUNT_NOFOLLOW) < 0)
                mount(target.c_str(), target.c_str(), "", MS_REMOUNT | MS_RDONLY, nullptr);
        }
    }
}

// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
void open_console()
{
    for (;;) { // open(2) takes the lowest descriptor that is free
        int descriptor = open("/dev/console", O_RDWR | O_NOCTTY);
        if (descriptor < 0)
            descriptor = open("/dev/null", O_RDWR);
        if (descriptor < 0 || descriptor > STDERR_FILENO) {
            close(descriptor);
            return;
        }
    }
}

// Opens standard error once more, for PID 1 alone, so that it never waits for a
// terminal that nobody reads: poll(2) says that such a terminal can be written
// to as long as it has room for a part of a line. Not if it is a file on a disk,
// which keeps nobody waiting, and would get an offset of its own.
void never_wait()
{
    if (lseek(STDERR_FILENO, 0, SEEK_CUR) >= 0)
        return;
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    dup2(own, STDERR_FILENO);
    close(own);
}

// The first word that begins with `/`, with all that follow it.
char **find_program(char **argv, char **otherwise)
{
    while (*++argv)
        if (**argv == '/')
            return argv;
    return otherwise;
}

[[noreturn]] void become_program(char **argv)
{
    sigset_t none;
    sigemptyset(&none);
    setsid();
    ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execv(*argv, argv);
    int error = errno;
    cannot("run", *argv, error);
    _exit(error == ENOENT ? not_found : not_executable);
}

// While the kernel is still busy with a timer that just went off, it says that a
// microsecond is left.
bool alarm_is_over()
{
    itimerval timer;
    return getitimer(ITIMER_REAL, &timer) < 0 ||
           (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec < 1000);
}

// Calls reboot(2) in a child process: if the machine cannot be switched off, it
// ends its caller, and the kernel panics when PID 1 ends.
bool reboot_is_refused(int command)
{
    pid_t child = fork();
    int status;
    // One that was killed, as where no memory is left, has said nothing.
    if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status))
        return WEXITSTATUS(status) != 0;
    bool is_refused = reboot(command) < 0;
    if (child == 0)
        _exit(is_refused);
    return is_refused;
}

class Init {
  public:
    [[noreturn]] void run(char **argv)
    {
        program = fork();
        if (program == 0)
            become_program(argv);
        if (program < 0) {
            cannot("run", *argv, errno);
            exit_status = not_executable;
            begin_teardown(RB_POWER_OFF);
        }
        never_wait();
        for (;;) {
            reap_all();
            heed_signal();
        }
    }

  private:
    pid_t program = 0; // 0 if it is not running
    int exit_status = 128 + SIGKILL; // how it ended; until it has, "killed"
    int stopping = 0;    // the reboot(2) command that ends the teardown; 0 if none is under way
    bool killed = false; // whether the teardown has killed everyone

    void reap_all()
    {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
            std::string line = "pid " + std::to_string(pid);
            if (signal)
                print(line + " killed by signal " + std::to_string(signal));
            else
                print(line + " exited with status " + std::to_string(WEXITSTATUS(status)));
            if (pid == program) {
                program = 0;
                exit_status = signal ? 128 + signal : WEXITSTATUS(status);
                begin_teardown(RB_POWER_OFF);
            }
        }
        if (pid < 0 && errno == ECHILD && stopping)
            finish();
    }

    // Waits for a signal, and does what it asks for.
    void heed_signal()
    {
        sigset_t all;
        sigfillset(&all);
        int signal = sigwaitinfo(&all, nullptr);
        if (signal < 0) {
            // A kernel that refuses this would have PID 1 spin.
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
            // Anyone may send it, and then the timer's own is lost, because one that
            // is pending is not sent twice; so the timer itself is asked.
            if (!alarm_is_over())
                return;
            if (killed)
                return finish();
            killed = true;
            return press(SIGKILL);
        }
        if (program > 0)
            kill(program, signal);
    }

    void begin_teardown(int command)
    {
        if (stopping)
            return;
        stopping = command;
        kill(everyone, SIGTERM);
        // A stopped process has to be woken to see that it is to end.
        press(SIGCONT);
    }

    // Sends everyone a signal, and SIGALRM to PID 1 when it should have been heeded.
    static void press(int signal)
    {
        if (kill(everyone, signal) < 0 && errno != ESRCH)
            cannot("signal", "everyone", errno);
        alarm(grace);
    }

    // If the machine goes on all the same, so does PID 1.
    void finish()
    {
        alarm(0);
        // Only the PID 1 of a whole machine may do this. What is mounted in a
        // container belongs to whoever made it.
        if (reboot(RB_DISABLE_CAD) == 0) {
            sync();
            unmount_all();
        }
        if (reboot_is_refused(stopping))
            _exit(exit_status);
        stopping = 0;
        killed = false;
    }
};

} // namespace

int main(int, char **argv)
{
    if (getpid() != 1) {
        print("must run as PID 1");
        return 1;
    }
    // Where a container was started on a terminal, PID 1 controls it; the program is to.
    ioctl(STDIN_FILENO, TIOCNOTTY);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    // Whoever started this PID 1 may have ignored some.
    for (int number = 1; number < NSIG; number++)
        std::signal(number, SIG_DFL);
    mount_one("proc", "/proc", MS_NODEV);
    mount_one("sysfs", "/sys", MS_NODEV);
    mount_one("devtmpfs", "/dev", 0);
    mount_one("devpts", "/dev/pts", 0);
    mount_one("tmpfs", "/run", MS_NODEV, "mode=755");
    open_console();
    reboot(RB_DISABLE_CAD);

    char name[] = "/etc/rc";
    std::array<char *, 2> otherwise{name, nullptr};
    Init().run(find_program(argv, otherwise.data()));
}
