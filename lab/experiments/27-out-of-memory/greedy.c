/*
 * Takes all the memory there is: first in a child of PID 1, then in PID 1 itself.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void take_all(void)
{
	const size_t size = 1 << 20;
	char *block;

	/* It has to be written to: until then, the kernel has only promised it. */
	while ((block = malloc(size)))
		memset(block, 1, size);
	printf("PID %d: malloc() says that there is no more\n", getpid());
}

int main(void)
{
	int status;
	pid_t child;

	setlinebuf(stdout);
	printf("PID 1: a child takes all the memory\n");
	child = fork();
	if (child == 0)
		take_all();
	else if (child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		printf("PID 1: the child was killed by signal %d\n", WTERMSIG(status));
	printf("PID 1: now I take all the memory\n");
	take_all();
}
