/*
 * A PID 1 that is sent two deadly signals, and then does what its last argument says:
 *   off     switches the machine off
 *   crash   writes where it has no memory
 *   ignore  does the same, but ignores SIGSEGV
 *   strict  allows itself nothing but to read, write and exit, and then does something else
 */
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *how = argv[argc - 1];

	setlinebuf(stdout);
	if (kill(1, SIGSEGV) < 0 || kill(1, SIGKILL) < 0)
		perror("crash: cannot send a signal");
	else
		printf("crash: I am PID %d, sent myself SIGSEGV and SIGKILL, and live\n", getpid());
	/* Without this, what the kernel says next could land in the middle of that line. */
	tcdrain(STDOUT_FILENO);

	if (strcmp(how, "ignore") == 0 && signal(SIGSEGV, SIG_IGN) == SIG_ERR)
		perror("crash: cannot ignore SIGSEGV");
	if (strcmp(how, "crash") == 0 || strcmp(how, "ignore") == 0)
		*(volatile int *)8 = 1;
	if (strcmp(how, "strict") == 0) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
			perror("crash: cannot filter system calls");
		getppid();
	}
	return reboot(RB_POWER_OFF);
}
