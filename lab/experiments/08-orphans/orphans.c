/*
 * A family of three. The parent exits before the child, which becomes an orphan
 * and says who has adopted it. With the argument `subreaper`, the grandparent
 * asks the kernel for all orphans among its descendants. With `careless` after that, it
 * does not care for them.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int ready[2], told[2], over[2];
	int is_careless = argc > 2 && strcmp(argv[2], "careless") == 0;
	char byte;
	pid_t pid;

	setlinebuf(stdout);
	if (argc > 1 && strcmp(argv[1], "subreaper") == 0)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	printf("grandparent: I am PID %d\n", getpid());
	if (pipe(ready) < 0 || pipe(told) < 0 || pipe(over) < 0)
		return 1;

	if (fork() == 0) {
		pid_t parent = getpid();
		if (fork() == 0) {
			printf("child: my parent is PID %d\n", getppid());
			write(ready[1], "", 1);
			while (getppid() == parent)
				usleep(1000);
			/* The grandparent speaks first. */
			read(told[0], &byte, 1);
			printf("child: now it is PID %d\n", getppid());
			return 3;
		}
		read(ready[0], &byte, 1);
		printf("parent: I am PID %d, and I exit\n", parent);
		return 0;
	}

	while (!is_careless && (pid = wait(NULL)) > 0) {
		printf("grandparent: a child of mine has exited: PID %d\n", pid);
		write(told[1], "", 1);
	}
	if (is_careless)
		write(told[1], "", 1);
	/* This returns when the last process that could write to the pipe has exited. */
	close(over[1]);
	read(over[0], &byte, 1);
	return 0;
}
