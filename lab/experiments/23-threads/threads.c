/*
 * A PID 1 with two threads. The first exits, with status 7; the second makes an orphan and
 * reaps it. Then it switches the machine off; or, with the argument `exit`, it exits as well,
 * with status 5.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static pthread_t first;

/* Makes a process that exits at once, and leaves a child behind. */
static void make_orphan(void)
{
	if (fork() != 0)
		return;
	pid_t parent = getpid();
	if (fork() == 0) {
		while (getppid() == parent)
			usleep(1000);
		printf("orphan: my parent is PID %d\n", getppid());
	}
	_exit(0);
}

static void *live_on(void *how)
{
	if (pthread_join(first, NULL) != 0)
		printf("second: cannot wait for the first\n");
	printf("second: the first thread is gone; getpid() says %d, gettid() says %ld\n",
	       getpid(), syscall(SYS_gettid));
	make_orphan();
	int reaped = 0;
	while (wait(NULL) > 0)
		reaped++;
	printf("second: I have reaped %d processes\n", reaped);
	/* Else what the kernel says next could land in the middle of a line. */
	tcdrain(STDOUT_FILENO);
	if (strcmp(how, "exit") == 0)
		syscall(SYS_exit, 5);
	reboot(RB_POWER_OFF);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t second;

	setlinebuf(stdout);
	first = pthread_self();
	if (pthread_create(&second, NULL, live_on, argv[argc - 1]) != 0)
		return 1;
	/* exit(3), or a return from here, would end both threads. */
	syscall(SYS_exit, 7);
}
