/*
 * Has a child that sends no signal when it exits, and looks for it with wait(2). With
 * the argument `all`, it looks for it once more.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	siginfo_t info;
	pid_t child;

	setlinebuf(stdout);
	/* fork() does the same, but with SIGCHLD in the lowest byte of the flags. */
	child = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (child < 0)
		return 1;
	if (child == 0)
		_exit(3);

	/* Sleeps until the child has exited, and does not reap it. */
	if (waitid(P_PID, child, &info, WEXITED | WNOWAIT | __WALL) < 0)
		return 1;
	printf("parent: my child, PID %d, has exited\n", child);
	if (wait(NULL) < 0)
		perror("parent: wait()");
	if (argc > 1 && strcmp(argv[1], "all") == 0)
		printf("parent: with __WALL, it is PID %d\n", waitpid(-1, NULL, __WALL));
	printf("parent: and now I exit\n");
	return 0;
}
