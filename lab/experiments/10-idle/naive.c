/* The PID 1 that many people write first: it waits for children, for ever. */
#include <stddef.h>
#include <sys/wait.h>

int main(void)
{
	for (;;)
		wait(NULL);
}
