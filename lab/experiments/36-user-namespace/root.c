/*
 * Becomes an ordinary user, makes a user namespace with PID and mount namespaces
 * in it, and tries there, as root and PID 1, what an init does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)

static void tell(const char *what, int result)
{
	printf("root: %s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

static int put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	return file < 0 || write(file, text, strlen(text)) < 0 ? -1 : close(file);
}

static int be_root(void)
{
	printf("root: I am user %d and PID %d\n", getuid(), getpid());
	tell("mount proc", mount("proc", "/proc", "proc", 0, NULL));
	tell("mount sysfs", mount("sysfs", "/sys", "sysfs", 0, NULL));
	tell("mount tmpfs", mount("tmpfs", "/run", "tmpfs", 0, NULL));
	tell("mount devtmpfs", mount("devtmpfs", "/dev", "devtmpfs", 0, NULL));
	tell("make a device of my own", mknod("/run/null", S_IFCHR | 0666, 1 << 8 | 3));
	tell("set the host's name", sethostname("mine", 4));
	tell("take Ctrl-Alt-Del as a signal", reboot(RB_DISABLE_CAD));
	return 0;
}

int main(void)
{
	setlinebuf(stdout);
	if (setgid(1000) < 0 || setuid(1000) < 0 || unshare(NAMESPACES) < 0) {
		perror("root: no namespaces");
		return 1;
	}
	/* After setuid(2), /proc/self belongs to root. This gives it to user 1000. */
	prctl(PR_SET_DUMPABLE, 1);
	/* User 0 and group 0 in the namespace are user 1000 and group 1000 outside. */
	if (put("/proc/self/uid_map", "0 1000 1") < 0 || put("/proc/self/setgroups", "deny") < 0 ||
	    put("/proc/self/gid_map", "0 1000 1") < 0) {
		perror("root: no user 0");
		return 1;
	}
	/* The first child is the PID 1 of the PID namespace. */
	if (fork() == 0)
		return be_root();
	return wait(NULL) < 0;
}
