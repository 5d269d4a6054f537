/* Says hello, and switches the machine off. */
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

int main(void)
{
	printf("hello: I am PID %d\n", getpid());
	fflush(stdout);
	return reboot(RB_POWER_OFF);
}
