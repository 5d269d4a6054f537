/* Exits with the status that its last argument names; or crashes, or aborts. */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *how = argv[argc - 1];
	if (strcmp(how, "crash") == 0)
		*(volatile int *)8 = 1;
	if (strcmp(how, "abort") == 0)
		abort();
	return atoi(how);
}
