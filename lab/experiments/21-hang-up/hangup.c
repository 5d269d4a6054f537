/*
 * A program that exits and leaves a child behind. The child has work to save when SIGTERM
 * comes. With the argument `setsid`, it leaves the program's session first.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int ready[2], signal;
	char byte;
	sigset_t term;

	setlinebuf(stdout);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	/* The child waits for the signal instead of being killed by it. */
	if (sigprocmask(SIG_BLOCK, &term, NULL) < 0 || pipe(ready) < 0)
		return 1;

	switch (fork()) {
	case -1:
		return 1;
	case 0:
		if (argc > 1 && strcmp(argv[1], "setsid") == 0 && setsid() < 0)
			return 1;
		printf("child: I work, and wait for SIGTERM\n");
		close(ready[0]);
		close(ready[1]);
		sigwait(&term, &signal);
		printf("child: SIGTERM came, and I save my work\n");
		return 0;
	}
	/* This returns when the child has closed its end. */
	close(ready[1]);
	read(ready[0], &byte, 1);
	printf("program: I exit\n");
	return 0;
}
