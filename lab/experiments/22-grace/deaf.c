/*
 * A program that leaves a process behind which does not do as SIGTERM asks:
 *   stopped   because it has been stopped, as by Ctrl-Z
 *   stubborn  because it does not want to
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_deaf(int is_stubborn)
{
	int signal;
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	/* In a session of its own, it does not get the program's signals (experiment 21). */
	if (setsid() < 0 || sigprocmask(SIG_BLOCK, &term, NULL) < 0)
		_exit(1);
	/* The program waits for this. */
	raise(SIGSTOP);
	sigwait(&term, &signal);
	if (is_stubborn) {
		printf("stubborn: SIGTERM came, and I stay\n");
		sleep(3);
		printf("stubborn: 3 seconds later, I am still here\n");
		sleep(7);
		printf("stubborn: 10 seconds later, I am still here\n");
	} else
		printf("stopped: SIGTERM came, and I save my work\n");
	_exit(0);
}

int main(int argc, char **argv)
{
	int is_stubborn = strcmp(argv[argc - 1], "stubborn") == 0;
	int status;

	setlinebuf(stdout);
	pid_t child = fork();
	if (child == 0)
		be_deaf(is_stubborn);
	if (waitpid(child, &status, WUNTRACED) < 0 || !WIFSTOPPED(status))
		return 1;
	if (is_stubborn)
		kill(child, SIGCONT);
	printf("program: PID %d is %s, and I exit\n", child, argv[argc - 1]);
	return 0;
}
