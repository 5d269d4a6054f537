// /init in Go: picoinit's contract.
//
// The runtime has handlers for all signals, and puts them into a channel; one
// loop takes them from there.
package main

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	grace         = 5 * time.Second // how long processes may take to end
	nameLimit     = 160             // bytes of a name from outside that are printed
	everyone      = -1              // to kill(2): all but PID 1
	notExecutable = 126             // exit statuses, as shells have them
	notFound      = 127

	// What the package syscall does not know.
	sysStatx           = 332
	atFdcwd            = -100
	statxAttrMountRoot = 0x2000
	umountNofollow     = 8
	pollout            = 4
	sigSetmask         = 2
)

// Prints a line by one write(2), so that the lines of several processes never
// tear; if it is taken at once: PID 1 does not wait for a pipe that is full, nor
// earn a SIGPIPE from one that nobody reads any more.
func print(line string) {
	wanted := struct {
		fd              int32
		events, revents int16
	}{2, pollout, 0}
	syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&wanted)), 1, 0)
	if wanted.revents == pollout {
		syscall.Write(2, []byte("init: "+line+"\n"))
	}
}

// Says why something could not be done to a name from outside. What could move
// the cursor, or is not ASCII, is shown as a question mark.
func cannot(act, name string, err error) {
	harmless := []byte(name)
	if len(harmless) > nameLimit {
		harmless = harmless[:nameLimit]
	}
	for i, c := range harmless {
		if c < ' ' || c > '~' {
			harmless[i] = '?'
		}
	}
	errno, _ := err.(syscall.Errno)
	print("cannot " + act + " " + string(harmless) + ": errno " + strconv.Itoa(int(errno)))
}

func isMountPoint(target string) bool {
	var status [32]uint64 // a struct statx, whose second word is the attributes
	path, _ := syscall.BytePtrFromString(target)
	directory := atFdcwd
	_, _, errno := syscall.Syscall6(sysStatx, uintptr(directory),
		uintptr(unsafe.Pointer(path)), 0, 0, uintptr(unsafe.Pointer(&status)), 0)
	return errno == 0 && status[1]&statxAttrMountRoot != 0
}

func mount(kind, target string, flags uintptr, data string) {
	syscall.Mkdir(target, 0755)
	if isMountPoint(target) {
		return
	}
	flags |= syscall.MS_NOSUID | syscall.MS_NOEXEC
	// In a container that may not mount, there is nothing to say of it.
	if err := syscall.Mount(kind, target, kind, flags, data); err != nil && err != syscall.EPERM {
		cannot("mount", target, err)
	}
}

// In /proc/mounts, a space in a name is written \040.
func unescape(name string) string {
	var plain strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			code, _ := strconv.ParseUint(name[i+1:i+4], 8, 8)
			plain.WriteByte(byte(code))
			i += 3
		} else {
			plain.WriteByte(name[i])
		}
	}
	return plain.String()
}

// What cannot be unmounted is made read-only, and so is the root.
func unmountAll() {
	// At the limit on descriptors, there would be none for the list.
	syscall.Close(0)
	// What was mounted last, and so may lie inside something else, goes first.
	list, _ := os.ReadFile("/proc/mounts")
	lines := strings.Split(string(list), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		words := strings.Fields(lines[i])
		if len(words) < 2 {
			continue
		}
		target := unescape(words[1])
		if syscall.Unmount(target, umountNofollow) != nil {
			syscall.Mount(target, target, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}
	}
}

// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
func openConsole() {
	for { // open(2) takes the lowest descriptor that is free
		descriptor, err := syscall.Open("/dev/console", syscall.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			descriptor, err = syscall.Open("/dev/null", syscall.O_RDWR, 0)
		}
		if err != nil || descriptor > 2 {
			syscall.Close(descriptor)
			return
		}
	}
}

// Opens standard error once more, for PID 1 alone, so that it never waits for a
// terminal that nobody reads: poll(2) says that such a terminal can be written
// to as long as it has room for a part of a line. Not if it is a file on a disk,
// which keeps nobody waiting, and would get an offset of its own.
func neverWait() {
	if _, err := syscall.Seek(2, 0, io.SeekCurrent); err == nil {
		return
	}
	const flags = syscall.O_WRONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY | syscall.O_APPEND
	if own, err := syscall.Open("/proc/self/fd/2", flags, 0); err == nil {
		syscall.Dup2(own, 2)
		syscall.Close(own)
	}
}

// The first word that begins with `/`, with all that follow it.
func findProgram() []string {
	for i, word := range os.Args {
		if i > 0 && strings.HasPrefix(word, "/") {
			return os.Args[i:]
		}
	}
	return []string{"/etc/rc"}
}

// In its own session, with the console as its terminal if that is one.
func startProgram(words []string) (int, error) {
	process := syscall.ProcAttr{
		Env:   os.Environ(),
		Files: descriptors(),
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: isTerminal()},
	}
	return syscall.ForkExec(words[0], words, &process)
}

// The descriptors 0, 1 and 2, as ForkExec wants them: -1 for one that is closed.
func descriptors() []uintptr {
	files := []uintptr{0, 1, 2}
	for i := range files {
		var status syscall.Stat_t
		if syscall.Fstat(i, &status) != nil {
			files[i] = ^uintptr(0)
		}
	}
	return files
}

func isTerminal() bool {
	var settings syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TCGETS,
		uintptr(unsafe.Pointer(&settings)))
	return errno == 0
}

// Calls reboot(2) in a child process: if the machine cannot be switched off, it
// ends its caller, and the kernel panics when PID 1 ends.
func rebootIsRefused(command int) bool {
	// A bare fork(2): the child has this thread only, and so not the runtime,
	// but these few calls need none.
	child, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
	if errno == 0 && child > 0 {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(int(child), &status, 0, nil)
		for err == syscall.EINTR {
			pid, err = syscall.Wait4(int(child), &status, 0, nil)
		}
		// One that was killed, as where no memory is left, has said nothing.
		if pid == int(child) && status.Exited() {
			return status.ExitStatus() != 0
		}
	}
	_, _, refused := syscall.RawSyscall(syscall.SYS_REBOOT,
		syscall.LINUX_REBOOT_MAGIC1, syscall.LINUX_REBOOT_MAGIC2, uintptr(command))
	if errno == 0 && child == 0 {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(refused), 0, 0)
	}
	return refused != 0
}

// What has to be remembered.
type state struct {
	program    int              // its PID; 0 if it is not running
	exitStatus int              // how it ended; until it has, "killed"
	stopping   int              // the reboot(2) command that ends the teardown
	isStopping bool             // whether one is under way
	killed     bool             // whether it has killed everyone
	timer      <-chan time.Time // when its time is up
}

func (s *state) reapAll() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.ECHILD && s.isStopping {
			s.finish()
		}
		if pid <= 0 {
			return
		}
		code := status.ExitStatus()
		if status.Signaled() {
			signal := int(status.Signal())
			code = 128 + signal
			print("pid " + strconv.Itoa(pid) + " killed by signal " + strconv.Itoa(signal))
		} else {
			print("pid " + strconv.Itoa(pid) + " exited with status " + strconv.Itoa(code))
		}
		if pid == s.program {
			s.program, s.exitStatus = 0, code
			s.beginTeardown(syscall.LINUX_REBOOT_CMD_POWER_OFF)
		}
	}
}

func (s *state) heed(received os.Signal) {
	switch received {
	case syscall.SIGCHLD:
	case syscall.SIGUSR1:
		s.beginTeardown(syscall.LINUX_REBOOT_CMD_HALT)
	case syscall.SIGUSR2:
		s.beginTeardown(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	case syscall.SIGTERM, syscall.SIGINT:
		s.beginTeardown(syscall.LINUX_REBOOT_CMD_RESTART)
	default:
		if s.program > 0 {
			syscall.Kill(s.program, received.(syscall.Signal))
		}
	}
}

func (s *state) beginTeardown(command int) {
	if s.isStopping {
		return
	}
	s.isStopping, s.stopping = true, command
	syscall.Kill(everyone, syscall.SIGTERM)
	// A stopped process has to be woken to see that it is to end.
	s.press(syscall.SIGCONT)
}

// Sends everyone a signal, and has the loop know when it should have been heeded.
func (s *state) press(signal syscall.Signal) {
	if err := syscall.Kill(everyone, signal); err != nil && err != syscall.ESRCH {
		cannot("signal", "everyone", err)
	}
	s.timer = time.After(grace)
}

func (s *state) timeIsUp() {
	if s.killed {
		s.finish()
	} else {
		s.killed = true
		s.press(syscall.SIGKILL)
	}
}

// If the machine goes on all the same, so does PID 1.
func (s *state) finish() {
	s.timer = nil
	// Only the PID 1 of a whole machine may do this. What is mounted in a
	// container belongs to whoever made it.
	if syscall.Reboot(syscall.LINUX_REBOOT_CMD_CAD_OFF) == nil {
		syscall.Sync()
		unmountAll()
	}
	if rebootIsRefused(s.stopping) {
		os.Exit(s.exitStatus)
	}
	s.isStopping, s.killed = false, false
}

func main() {
	if os.Getpid() != 1 {
		print("must run as PID 1")
		os.Exit(1)
	}
	// This thread starts the program, which inherits what it has blocked.
	runtime.LockOSThread()
	// Where a container was started on a terminal, PID 1 controls it; the program is to.
	signal.Ignore(syscall.SIGHUP)
	syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCNOTTY, 0)
	signals := make(chan os.Signal, 4096)
	signal.Notify(signals)
	var none uint64
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask,
		uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)

	mount("proc", "/proc", syscall.MS_NODEV, "")
	mount("sysfs", "/sys", syscall.MS_NODEV, "")
	mount("devtmpfs", "/dev", 0, "")
	mount("devpts", "/dev/pts", 0, "")
	mount("tmpfs", "/run", syscall.MS_NODEV, "mode=755")
	openConsole()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_CAD_OFF)

	s := state{exitStatus: 128 + int(syscall.SIGKILL)}
	var err error
	words := findProgram()
	if s.program, err = startProgram(words); err != nil {
		cannot("run", words[0], err)
		s.exitStatus = notExecutable
		if err == syscall.ENOENT {
			s.exitStatus = notFound
		}
		s.beginTeardown(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	}
	neverWait()
	for {
		s.reapAll()
		select {
		case received := <-signals:
			s.heed(received)
		case <-s.timer:
			s.timeIsUp()
		}
	}
}
