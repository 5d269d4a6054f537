// /init in Go: picoinit's contract.
//
// The runtime has handlers for all signals, and puts them into channels; one loop takes
// them from there, one by one. And a process of a Go program cannot fork: the child would
// have one thread, and so no runtime. So the children of PID 1 are this program once more,
// told by word 0 what they are to do.
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
	grace         = 5 * time.Second        // how long processes may take to exit
	tenth         = 100 * time.Millisecond // how long PID 1 sleeps at most while that runs
	turn          = 100                    // children that are reaped before signals have their turn
	depth         = 16                     // how deep mounts may be nested to be unmounted
	nameEnd       = 200                    // where a name from outside ends in a line
	initPid       = 1                      // the PID of PID 1
	everyone      = -1                     // to kill(2): all but PID 1
	notExecutable = 126                    // exit statuses, as shells have them
	notFound      = 127

	// Word 0 of a child that is to become the program, and of one that sees to the disks.
	programRole = "init: program"
	disksRole   = "init: disks"

	// What the package syscall does not know.
	umountNofollow = 8
	pollout        = 4
	sigSetmask     = 2
	lastSignal     = 64
)

// Prints a line by one write(2), so that the lines of several processes never tear; and
// only if it is taken at once: PID 1 does not wait for a pipe that is full, nor earn a
// SIGPIPE from a pipe that nobody reads any more.
func say(line string) {
	wanted := struct {
		fd              int32
		events, revents int16
	}{2, pollout, 0}
	syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&wanted)), 1, 0)
	if wanted.revents == pollout {
		syscall.Write(2, []byte(line+"\n"))
	}
}

// Says why something could not be done to a name from outside. What could move the cursor,
// or is not ASCII, is shown as a question mark.
func cannot(act, name string, err error) {
	line := []byte("init: cannot " + act + " ")
	for i := 0; i < len(name) && len(line) < nameEnd; i++ {
		if name[i] >= ' ' && name[i] <= '~' {
			line = append(line, name[i])
		} else {
			line = append(line, '?')
		}
	}
	errno, _ := err.(syscall.Errno)
	say(string(line) + ": errno " + strconv.Itoa(int(errno)))
}

// Signals.

// Those that ask PID 1 to stop have a channel of their own, which no flood of others can
// fill: the runtime drops what does not fit. If a request is dropped, another is there.
var (
	requests = make(chan os.Signal, 1)
	others   = make(chan os.Signal, 4096)
)

// From here on, no signal is lost. And they all have the runtime's disposition now, even if
// whoever started PID 1 had ignored some; a child gets the default.
func catchAll() {
	for number := syscall.Signal(1); number <= lastSignal; number++ {
		switch number {
		case syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT:
			signal.Notify(requests, number)
		default:
			signal.Notify(others, number)
		}
	}
}

// Makes a set of signals what this thread has blocked: all is ^0, none is 0.
func block(set uint64) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask,
		uintptr(unsafe.Pointer(&set)), 0, unsafe.Sizeof(set), 0, 0)
}

// Sleeps until a signal comes, and takes it. Returns nil if the timeout came first; a
// timeout that is nil never comes.
func wait(timeout <-chan time.Time) os.Signal {
	select {
	case request := <-requests:
		return request
	case other := <-others:
		return other
	case <-timeout:
		return nil
	}
}

// Drops the signals that are there.
func drain() {
	for {
		select {
		case <-requests:
		case <-others:
		default:
			return
		}
	}
}

// Makes Ctrl-Alt-Del a SIGINT to PID 1, instead of an instant reset. The kernel lets only
// the PID 1 of a whole machine do so: returns whether this is one.
func catchCtrlAltDel() bool {
	return syscall.Reboot(syscall.LINUX_REBOOT_CMD_CAD_OFF) == nil
}

// Mounts, at the start and at the end.

func mount(kind, target string, flags uintptr, data string) {
	syscall.Mkdir(target, 0755) // it may be there
	flags |= syscall.MS_NOSUID | syscall.MS_NOEXEC
	err := syscall.Mount(kind, target, kind, flags, data)
	// Where PID 1 may not mount, or something is mounted, there is nothing to say of it.
	if err != nil && err != syscall.EPERM && err != syscall.EBUSY {
		cannot("mount", target, err)
	}
}

// If there is a /proc already, whoever started PID 1, such as a container engine, has
// prepared the rest, too.
func mountAll() {
	if syscall.Access("/proc/mounts", 0) == nil {
		return
	}
	mount("proc", "/proc", syscall.MS_NODEV, "")
	mount("sysfs", "/sys", syscall.MS_NODEV, "")
	mount("devtmpfs", "/dev", 0, "")
	mount("devpts", "/dev/pts", 0, "")
	// Unless it is told otherwise, a tmpfs is open to everyone.
	mount("tmpfs", "/run", syscall.MS_NODEV, "mode=755")
}

// All of /proc/mounts. It becomes descriptor 0: at the limit on descriptors, there is no
// other. So this is not os.ReadFile, which needs more for its poller.
func readMounts() string {
	syscall.Close(0)
	syscall.Open("/proc/mounts", syscall.O_RDONLY, 0)
	var list []byte
	chunk := make([]byte, 4096)
	for {
		length, err := syscall.Read(0, chunk)
		if err != nil || length == 0 {
			return string(list)
		}
		list = append(list, chunk[:length]...)
	}
}

// In /proc/mounts, a space in a name is written as `\040`, three octal digits.
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

// Unmounts everything, so that nothing written is lost. What cannot be unmounted, such as
// the root, is made read-only, which serves as well.
func unmountAll() {
	// Not strings.Fields, which takes some letters of names for spaces.
	isSpace := func(letter rune) bool { return letter == ' ' || letter == '\n' }
	// A file system in use by another that is mounted on it cannot go, and comes first in
	// the list: so each pass takes at least one level.
	for pass := 0; pass < depth; pass++ {
		for _, word := range strings.FieldsFunc(readMounts(), isSpace) {
			// These are the mount points, and a few words that are none: to unmount such is
			// an error, and no more.
			if !strings.HasPrefix(word, "/") {
				continue
			}
			path := unescape(word)
			if syscall.Unmount(path, umountNofollow) != nil {
				syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
			}
		}
	}
}

// The console.

// Opens the console on those of the descriptors 0, 1 and 2 that are closed; or /dev/null,
// so that no file that a program opens later becomes its standard error by accident.
func openDescriptors() {
	const flags = syscall.O_RDWR | syscall.O_NOCTTY
	for { // open(2) takes the lowest descriptor that is free
		descriptor, err := syscall.Open("/dev/console", flags, 0)
		if err != nil {
			descriptor, err = syscall.Open("/dev/null", flags, 0)
		}
		if err != nil || descriptor > 2 {
			syscall.Close(descriptor)
			return
		}
	}
}

// Gives this process, which is to become the program, the terminal: so that Ctrl-C reaches
// it, and job control works.
func takeControl() {
	pid := int32(os.Getpid())
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCSPGRP,
		uintptr(unsafe.Pointer(&pid)))
	// Where PID 1 was started on a terminal, as in a container, this process is in its
	// foreground now. (The kernel takes a PID that leads no process group yet.)
	if errno == 0 {
		syscall.Setpgid(0, 0)
	} else {
		syscall.Setsid()
		syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCSCTTY, 0)
	}
}

// Opens standard error once more, for PID 1 alone, so that it never waits for a terminal
// that nobody reads: poll(2) says that such a terminal can be written to as long as it has
// room for a part of a line. Not if it is a file on a disk, which keeps nobody waiting, and
// would get an offset of its own.
func neverWait() {
	if _, err := syscall.Seek(2, 0, io.SeekCurrent); err == nil {
		return
	}
	const flags = syscall.O_WRONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY | syscall.O_APPEND
	if own, err := syscall.Open("/proc/self/fd/2", flags, 0); err == nil && own > 2 {
		syscall.Dup2(own, 2)
		syscall.Close(own)
	}
}

// Children.

// Starts a child, which has all signals blocked, as this thread has.
func startChild(role string, words ...string) (int, error) {
	self := "/proc/self/exe"
	if syscall.Access(self, 0) != nil {
		self = os.Args[0]
	}
	process := syscall.ProcAttr{Env: os.Environ(), Files: descriptors()}
	return syscall.ForkExec(self, append([]string{role}, words...), &process)
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

// The first word that begins with `/`, with all that follow it: the kernel passes what it
// did not understand of its command line, such as `splash`, first.
func findProgram() []string {
	for i, word := range os.Args {
		if i > 0 && strings.HasPrefix(word, "/") {
			return os.Args[i:]
		}
	}
	return []string{"/etc/rc"}
}

// Says why, and returns what counts as the program's exit status.
func cannotRun(path string, err error) int {
	cannot("run", path, err)
	if err == syscall.ENOENT {
		return notFound
	}
	return notExecutable
}

// What a child does that is to become the program.
func becomeProgram(words []string) {
	takeControl()
	block(0)
	err := syscall.Exec(words[0], words, os.Environ())
	os.Exit(cannotRun(words[0], err))
}

// Leaves the disks clean.
func seeToDisks() {
	syscall.Sync()
	unmountAll()
}

// Calls reboot(2), and exits. Where the machine cannot be switched off, reboot(2) exits; but
// it takes only its own thread along.
func rebootAndExit(command int) {
	// A bare fork(2): the child has this thread only, and so not the runtime, but these two
	// calls need none.
	child, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
	if child == 0 || errno != 0 {
		syscall.RawSyscall(syscall.SYS_REBOOT,
			syscall.LINUX_REBOOT_MAGIC1, syscall.LINUX_REBOOT_MAGIC2, uintptr(command))
	}
	syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
}

// What PID 1 remembers.
type state struct {
	program    int // the PID of the program; 0 once it was reaped
	exitStatus int // how it exited; until it was reaped, "killed"
	request    int // what reboot(2) is to do; 0 if nobody has asked for anything
}

// If the program cannot be started, PID 1 has no purpose, and stops as if it had exited.
func (s *state) startProgram(words []string) {
	child, err := startChild(programRole, words...)
	if err != nil {
		s.programExited(cannotRun(words[0], err))
		return
	}
	s.program = child
}

func (s *state) programExited(status int) {
	s.program, s.exitStatus, s.request = 0, status, syscall.LINUX_REBOOT_CMD_POWER_OFF
}

// Reaps the children that have exited, and says how each did. Returns whether any are left.
func (s *state) reapAll() bool {
	for reaped := 0; reaped < turn; reaped++ {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err != nil || pid == 0 {
			return err == nil
		}
		code := status.ExitStatus()
		if status.Signaled() {
			signal := int(status.Signal())
			code = 128 + signal // as shells have it
			say("init: pid " + strconv.Itoa(pid) + " killed by signal " + strconv.Itoa(signal))
		} else {
			say("init: pid " + strconv.Itoa(pid) + " exited with status " + strconv.Itoa(code))
		}
		if pid == s.program {
			s.programExited(code)
		}
	}
	// There may be more. They are next, after the signals that are there.
	syscall.Kill(initPid, syscall.SIGCHLD)
	return true
}

// Does what a signal asks for.
func (s *state) heed(received os.Signal) {
	switch received {
	case syscall.SIGCHLD:
	case syscall.SIGUSR1:
		s.request = syscall.LINUX_REBOOT_CMD_HALT
	case syscall.SIGUSR2:
		s.request = syscall.LINUX_REBOOT_CMD_POWER_OFF
	case syscall.SIGTERM, syscall.SIGINT: // SIGINT is Ctrl-Alt-Del
		s.request = syscall.LINUX_REBOOT_CMD_RESTART
	default:
		if s.program > 0 {
			syscall.Kill(s.program, received.(syscall.Signal))
		}
	}
}

// Asks every process to exit, waits until all have, and kills those that have not.
func (s *state) stopEveryone() {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		syscall.Kill(everyone, signal)
		// A process that was stopped has to be woken to see that it is asked to exit.
		syscall.Kill(everyone, syscall.SIGCONT)
		deadline := time.Now().Add(grace)
		for s.reapAll() && time.Now().Before(deadline) {
			wait(time.After(tenth))
		}
	}
	// What else was asked for in the meantime is being done.
	drain()
}

// Stops every process, then the machine. Returns if the machine goes on all the same.
func (s *state) stop(command int) {
	s.stopEveryone()
	// What is mounted in a container belongs to whoever made it.
	if !catchCtrlAltDel() {
		os.Exit(s.exitStatus)
	}
	// The disks may take as long as they need, so a child process sees to them, and stops
	// the machine, while PID 1 goes on listening.
	s.exitStatus = 1
	child, err := startChild(disksRole, strconv.Itoa(command))
	if err != nil {
		seeToDisks()
	} else {
		s.program = child // so its exit status is what counts
		// Any other signal asks PID 1 not to wait for the disks. SIGURG does not count: Go's
		// runtime sends it to its own threads.
		for s.program != 0 {
			if received := wait(nil); received != syscall.SIGCHLD && received != syscall.SIGURG {
				break
			}
			s.reapAll()
		}
	}
	// PID 1 could have no child, the child was killed, as where no memory is left, or PID 1
	// does not wait any longer.
	if s.exitStatus != 0 {
		syscall.Reboot(command)
	}
	// If the child is still busy, it is nobody's program.
	s.program = 0
	s.request = 0
}

func main() {
	// What this thread has blocked, the children inherit; and nothing interrupts it.
	runtime.LockOSThread()
	block(^uint64(0))
	switch os.Args[0] {
	case programRole:
		becomeProgram(os.Args[1:])
	case disksRole:
		seeToDisks()
		command, _ := strconv.Atoi(os.Args[1])
		rebootAndExit(command)
	}

	catchAll()
	// Not `!=`: where system calls are filtered, even this one may fail.
	if os.Getpid() > initPid {
		say("init: must run as PID 1")
		os.Exit(1)
	}
	mountAll()
	openDescriptors()
	catchCtrlAltDel()

	s := state{exitStatus: 128 + int(syscall.SIGKILL)}
	s.startProgram(findProgram())
	neverWait()
	for {
		if s.request != 0 {
			s.stop(s.request)
		}
		received := wait(nil)
		// Whatever signal came: no flood of other signals can keep PID 1 from reaping.
		s.reapAll()
		s.heed(received)
	}
}
