/*
 * Four processes in a line: outer, inner, parent, child. The first two are
 * subreapers. The parent exits, then inner, then outer; the child says each time
 * who its parent is now.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t outer, inner, parent;
/* The child writes a byte to it when it has spoken. */
static int spoken[2];

static pid_t start(void)
{
	pid_t pid = fork();
	if (pid < 0) {
		perror("line: fork");
		exit(1);
	}
	return pid;
}

/* Waits until the next process in the line has exited, and the child has spoken. */
static int outlive(pid_t next)
{
	char byte;
	return waitpid(next, NULL, 0) == next && read(spoken[0], &byte, 1) == 1 ? 0 : 1;
}

static void speak(const char *name, pid_t exiting)
{
	while (kill(exiting, 0) == 0)
		usleep(1000);
	pid_t now = getppid();
	printf("child: %s has exited, and my parent is %s\n", name,
	       now == outer ? "outer" : now == inner ? "inner" : now == 1 ? "PID 1" : "another");
	fflush(stdout);
	if (write(spoken[1], "", 1) != 1)
		exit(1);
}

int main(void)
{
	pid_t next;
	if (pipe(spoken) < 0)
		return 1;
	if ((next = start()) > 0) {
		/* The machine's program: it reads a byte when outer and the child are done. */
		close(spoken[1]);
		return outlive(next);
	}

	outer = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if ((next = start()) > 0)
		return outlive(next);

	inner = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if ((next = start()) > 0)
		return outlive(next);

	parent = getpid();
	if (start() > 0)
		return 0;

	speak("the parent", parent);
	speak("inner", inner);
	speak("outer", outer);
	return 0;
}
