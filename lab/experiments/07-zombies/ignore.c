/*
 * A PID 1 that ignores SIGCHLD, so that the kernel throws away the exit status of
 * each of its children. It starts /etc/rc, and switches the machine off after it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	signal(SIGCHLD, SIG_IGN);
	pid_t program = fork();
	if (program == 0) {
		execl("/etc/rc", "/etc/rc", NULL);
		return 127;
	}
	int status;
	if (waitpid(program, &status, 0) == program)
		printf("ignore: the program exited with status %d\n", WEXITSTATUS(status));
	else
		perror("ignore: the program has exited, but even wait4(2) cannot say how");
	fflush(stdout);
	return reboot(RB_POWER_OFF);
}
